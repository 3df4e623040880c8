//! The request, with what planners look up in it again and again.

use std::sync::Arc;

use howdah_catalog::{Table, TypeOid};
use howdah_sql::{RelationName, ast};

use crate::Request;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) request: Request<'a>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(request: &Request<'a>) -> Self {
        Self { request: *request }
    }

    /// The distributed or reference table that a name means if it is no CTE's.
    pub(crate) fn table(&self, range: &ast::RangeVar) -> Option<&'a Arc<Table>> {
        if !range.catalogname.is_empty() {
            return None;
        }
        let oid = self.request.names.get(&RelationName::of(range)).copied().flatten()?;
        self.request.catalog.table(oid)
    }

    pub(crate) fn parameter_type(&self, number: i32) -> Option<TypeOid> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.request.parameter_types.get(index).copied()
    }
}
