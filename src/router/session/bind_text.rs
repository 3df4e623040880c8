//! Parameters of a write whose binary form names types by OIDs: workers know the types of users by others, so that such values
//! go to them as text. The coordinator, whose OIDs the client knows, writes them.

use bytes::{Buf, Bytes, BytesMut};
use howdah_catalog::GroupId;
use howdah_pg::TypeOid;
use howdah_pg::wire::frontend::{self, Bind};
use howdah_pg::wire::{Format, HEADER};

use super::Session;
use super::analysis::Distributed;
use crate::error::{Error, Result};
use crate::executor::{row_values, text_says_all};
use crate::server::error_fields;

impl Session {
    /// The body of the Bind with those parameters as text; none if there is nothing to be done.
    pub(super) async fn bind_as_text(
        &mut self,
        distributed: &Distributed,
        bind: &Bind<'_>,
    ) -> Result<Option<Bytes>> {
        let types = &distributed.description.parameters;
        if bind.parameter_formats.all_text() || distributed.is_read() {
            return Ok(None);
        }
        let objects = distributed.catalog.objects();
        let is_concerned = |at: usize| {
            bind.parameter_formats.of(at) == Format::Binary
                && types.get(at).is_some_and(|it| objects.embeds_oids(*it))
        };
        let concerned: Vec<usize> = (0..bind.parameters.len()).filter(|it| is_concerned(*it)).collect();
        if concerned.is_empty() {
            return Ok(None);
        }
        if !text_says_all(self) {
            return Err(Error::not_supported(
                "cannot write arrays, ranges or rows of user-defined types in binary format with these settings",
                "SET DateStyle = 'ISO' and extra_float_digits = 1, or send such parameters in text format.",
            ));
        }
        let values: Vec<Option<&[u8]>> = bind.parameters.iter().collect();
        let known: Vec<_> = concerned.iter().map(|it| (types[*it], values[*it])).collect();
        let texts = self.texts_of(&known).await?;
        let mut values: Vec<Option<&[u8]>> = values;
        let mut formats: Vec<Format> = (0..values.len()).map(|it| bind.parameter_formats.of(it)).collect();
        for (at, text) in concerned.iter().zip(&texts) {
            values[*at] = text.as_deref();
            formats[*at] = Format::Text;
        }
        let results: Vec<Format> = bind.result_formats.iter().collect();
        let mut message = BytesMut::new();
        frontend::put_bind(&mut message, bind.portal, bind.statement, &formats, values, &results);
        message.advance(HEADER);
        Ok(Some(message.freeze()))
    }

    async fn texts_of(&mut self, values: &[(TypeOid, Option<&[u8]>)]) -> Result<Vec<Option<Vec<u8>>>> {
        self.land_before_questions().await?;
        let types: Vec<TypeOid> = values.iter().map(|it| it.0).collect();
        let list: Vec<String> = (1..=values.len()).map(|it| format!("${it}")).collect();
        let query = format!("SELECT {}", list.join(", "));
        let coordinator = self.participant(GroupId::COORDINATOR).await?;
        let buffer = coordinator.buffer();
        frontend::put_parse(buffer, b"", query.as_bytes(), &types);
        frontend::put_bind(buffer, b"", b"", &[Format::Binary], values.iter().map(|it| it.1), &[]);
        frontend::put_execute(buffer, b"", 0);
        coordinator.queue_sync();
        coordinator.flush().await?;
        let (mut row, mut failure) = (None, None);
        while self.transaction.opened(GroupId::COORDINATOR).is_some_and(|it| it.is_busy()) {
            let message = self.next_coordinator_message().await?;
            match message.tag {
                b'D' => row = Some(message.body),
                b'E' => failure = Some(Error::from(error_fields(&message.body))),
                _ => {}
            }
        }
        match (failure, row) {
            (Some(error), _) => Err(error),
            (None, Some(row)) => Ok(row_values(&row).map(|it| it.map(<[u8]>::to_vec)).collect()),
            (None, None) => Err(Error::Internal("the coordinator wrote no parameters".to_owned())),
        }
    }
}
