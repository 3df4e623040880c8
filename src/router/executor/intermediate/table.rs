//! An intermediate result as a table of the session's transaction.

use futures::FutureExt;
use howdah_catalog::GroupId;
use howdah_pg::wire::frontend;

use super::limit::Limit;
use super::{Encoding, Rows};
use crate::error::{Error, Result};
use crate::server::error_fields;
use crate::session::Session;

/// An UNLOGGED table with the columns c0, c1, …, that exists until [`Self::drop`] or the end of the transaction.
#[derive(Debug)]
pub(crate) struct Table {
    group: GroupId,
    /// Qualified, to stand in a statement as it is.
    relation: String,
    copy: String,
    limit: Limit,
    size: u64,
    /// COPY commands that the node has not answered.
    under_way: usize,
}

/// While one portion is stored the next one is on its way.
const UNDER_WAY: usize = 2;

impl Table {
    /// Makes a table on a node, after all that is under way there. None if the transaction may only read.
    ///
    /// Takes part in whatever transaction is in progress: the caller has opened one.
    pub(crate) async fn create(
        session: &mut Session,
        group: GroupId,
        types: &[String],
        encoding: &Encoding,
    ) -> Result<Option<Self>> {
        let router = session.router.clone();
        let key = router.live.key(&router.pools, &router.config.superuser, group).await?;
        let number = session.transaction.next_intermediate().to_string();
        let types: Vec<Option<&str>> = types.iter().map(|it| Some(it.as_str())).collect();
        let types = crate::loopback::text_array(&types);
        let connection = session.participant(group).await?;
        let buffer = connection.buffer();
        // The key is a parameter, so that no statistics view shows it.
        let text = b"SELECT * FROM howdah.create_intermediate($1, $2, $3, current_user)";
        frontend::put_parse(buffer, b"", text, &[]);
        let values = [key.as_bytes(), number.as_bytes(), types.as_bytes()];
        frontend::put_bind(buffer, b"", b"", &[], values.map(Some), &[]);
        frontend::put_execute(buffer, b"", 0);
        connection.queue_sync();
        connection.flush().await?;
        let rows = session.rows_on(group).await?;
        let Some([relation, limit]) = rows.into_iter().next().and_then(|it| <[_; 2]>::try_from(it).ok())
        else {
            return Err(Error::Internal("an intermediate result has no relation".to_owned()));
        };
        let limit = Limit::of(limit.as_deref());
        Ok(relation.map(|relation| {
            let copy = format!("COPY {relation} FROM STDIN {}", encoding.copy_options());
            Self { group, relation, copy, limit, size: 0, under_way: 0 }
        }))
    }

    pub(crate) fn relation(&self) -> &str {
        &self.relation
    }

    /// Sends rows, once the node has taken enough of those before.
    pub(crate) async fn push(&mut self, session: &mut Session, rows: &mut Rows) -> Result<()> {
        self.size += rows.size() as u64;
        if !self.limit.allows(self.size) {
            return Err(self.limit.exceeded());
        }
        if UNDER_WAY <= self.under_way {
            self.answer(session).await?;
        }
        let connection = session.participant(self.group).await?;
        connection.queue_query(&self.copy);
        frontend::put_copy_data(connection.buffer(), &rows.take_copy_data());
        frontend::put_copy_done(connection.buffer());
        self.under_way += 1;
        // What does not go out now goes out while the answer is waited for.
        connection.flush().now_or_never().unwrap_or(Ok(()))
    }

    /// Waits until all rows are stored.
    pub(crate) async fn finish(&mut self, session: &mut Session) -> Result<()> {
        while self.under_way > 0 {
            self.answer(session).await?;
        }
        Ok(())
    }

    /// The answer to the oldest COPY under way.
    async fn answer(&mut self, session: &mut Session) -> Result<()> {
        if let Some(connection) = session.transaction.opened(self.group) {
            connection.flush().await?;
        }
        self.under_way -= 1;
        let mut result = Ok(());
        loop {
            // Others may have read the answer, with all that was under way on the connection; an error of it is with them.
            if session.transaction.opened(self.group).is_none_or(|it| !it.is_busy()) {
                return result;
            }
            let message = session.message_of(self.group).await?;
            match message.tag {
                b'E' if result.is_ok() => result = Err(Error::from(error_fields(&message.body))),
                b'Z' => return result,
                _ => {}
            }
        }
    }

    /// Ends it; nothing may read it any more.
    pub(crate) async fn drop(mut self, session: &mut Session) -> Result<()> {
        self.finish(session).await?;
        let router = session.router.clone();
        let key = router.live.key(&router.pools, &router.config.superuser, self.group).await?;
        let connection = session.participant(self.group).await?;
        let buffer = connection.buffer();
        frontend::put_parse(buffer, b"", b"SELECT howdah.drop_intermediate($1, $2)", &[]);
        let values = [key.as_bytes(), self.relation.as_bytes()];
        frontend::put_bind(buffer, b"", b"", &[], values.map(Some), &[]);
        frontend::put_execute(buffer, b"", 0);
        connection.queue_sync();
        connection.flush().await?;
        session.finish_on(self.group).await
    }
}
