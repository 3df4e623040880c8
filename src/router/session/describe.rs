//! Describe of statements and portals. What a planned statement returns is known here; the rest is asked.

use bytes::BytesMut;
use howdah_catalog::GroupId;
use howdah_pg::wire::backend;
use howdah_pg::wire::frontend::{self, Message, Target};

use super::Session;
use super::analysis::Route;
use super::flight::Reply;
use super::portal::Place;
use super::statements::Prepared;
use crate::error::{Error, Result};
use crate::transaction::Block;

impl Session {
    pub(super) async fn on_describe(&mut self, target: Target<'_>) -> Result<()> {
        let mut answer = BytesMut::new();
        match target {
            Target::Statement(name) => {
                let prepared = self.statement(name).await?;
                match &prepared.analyzed.route {
                    Route::Planned(it) => it.description.put_for_statement(&mut answer),
                    Route::Empty | Route::Control(_) => {
                        backend::put_parameter_description(&mut answer, &[]);
                        backend::put_no_data(&mut answer);
                    }
                    Route::Explain(it) => {
                        backend::put_parameter_description(&mut answer, &it.description.parameters);
                        put_plan(&prepared, &mut answer)?;
                    }
                    Route::Local | Route::Utility | Route::Copy => {
                        self.flight(GroupId::COORDINATOR).await?;
                        self.ensure_prepared(
                            &prepared,
                            &prepared.server_name,
                            &prepared.text,
                            &prepared.types,
                        )?;
                        let connection = self.on_flight()?;
                        let name = prepared.server_name.as_bytes();
                        frontend::put_describe(connection.buffer(), Target::Statement(name));
                        self.pipeline.expect(Reply::Describe);
                        return Ok(());
                    }
                }
            }
            // A cursor of DECLARE is a portal as well, and whether there is one the coordinator knows.
            Target::Portal(name) if !name.is_empty() && !self.portals.contains_key(name) => {
                if self.transaction.block() == Block::Failed {
                    return Err(Error::InFailedTransaction);
                }
                self.flight(GroupId::COORDINATOR).await?;
                let connection = self.on_flight()?;
                frontend::put_describe(connection.buffer(), target);
                self.pipeline.expect(Reply::Describe);
                return Ok(());
            }
            Target::Portal(name) => {
                let portal = self.portal(name)?;
                let (prepared, bind, place) = (portal.statement.clone(), portal.bind.clone(), portal.place);
                match (&prepared.analyzed.route, place) {
                    (Route::Planned(it), _) => {
                        let Message::Bind(bind) = frontend::parse(b'B', &bind)? else { return Ok(()) };
                        it.description.put_columns(&mut answer, Some(&bind.result_formats));
                    }
                    (Route::Explain(_), _) => put_plan(&prepared, &mut answer)?,
                    (_, Place::Server(group)) => {
                        self.flight(group).await?;
                        let connection = self.on_flight()?;
                        frontend::put_describe(connection.buffer(), target);
                        self.pipeline.expect(Reply::Describe);
                        return Ok(());
                    }
                    (_, Place::Router) => backend::put_no_data(&mut answer),
                }
            }
        }
        self.answer(&answer);
        Ok(())
    }
}

fn put_plan(prepared: &Prepared, to: &mut BytesMut) -> Result<()> {
    match &prepared.analyzed.statement {
        Some(explain) => crate::executor::put_plan_column(explain, to),
        None => Ok(()),
    }
}
