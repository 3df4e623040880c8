//! Settings that the router itself obeys, as they are before a session changes them: postgresql.conf, ALTER
//! SYSTEM, ALTER DATABASE and ALTER ROLE on the coordinator.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::Result;
use crate::server::ServerConnection;

#[derive(Default)]
pub(crate) struct Defaults(RwLock<Arc<Values>>);

/// By role (empty for all of them) and name.
type Values = HashMap<(String, String), String>;

impl Defaults {
    pub(crate) fn get(&self, role: &str, name: &str) -> Option<String> {
        let values = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let of = |role: &str| values.get(&(role.to_owned(), name.to_owned())).cloned();
        of(role).or_else(|| of(""))
    }

    /// Reads them anew.
    pub(crate) async fn load(&self, connection: &mut ServerConnection) -> Result<()> {
        let values = values_of(connection.rows(LOAD).await?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(values);
        Ok(())
    }
}

/// Of several rows for one role and setting the last one counts.
fn values_of(rows: Vec<Vec<Option<String>>>) -> Values {
    let mut values = Values::new();
    for row in rows {
        if let Ok([Some(role), Some(name), Some(value)]) = <[Option<String>; 3]>::try_from(row) {
            values.insert((role, name), value);
        }
    }
    values
}

/// In the order of `process_settings` (postinit.c), the most general first.
const LOAD: &str = "\
    WITH wanted(name) AS (VALUES ('statement_timeout'), ('citus.max_adaptive_executor_pool_size'), \
        ('citus.executor_slow_start_interval'), ('citus.max_shared_pool_size'), ('howdah.consistent_reads'), \
        ('idle_in_transaction_session_timeout')), \
    here AS (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
    SELECT role, name, value FROM ( \
        SELECT '' AS role, name, pg_catalog.current_setting(name, true) AS value, 0 AS rank FROM wanted \
        UNION ALL \
        SELECT COALESCE(r.rolname, ''), pg_catalog.split_part(c, '=', 1), \
            pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1), \
            CASE WHEN setrole = 0 THEN 1 ELSE 3 END - CASE WHEN setdatabase = 0 THEN 1 ELSE 0 END \
        FROM pg_catalog.pg_db_role_setting LEFT JOIN pg_catalog.pg_roles r ON r.oid = setrole \
        CROSS JOIN LATERAL pg_catalog.unnest(setconfig) AS u(c) \
        WHERE setdatabase = 0 OR setdatabase = (SELECT oid FROM here)) AS s \
    WHERE name IN (SELECT name FROM wanted) ORDER BY rank";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roles_setting_comes_before_that_of_all() {
        let row = |role: &str, name: &str, value: &str| {
            vec![Some(role.to_owned()), Some(name.to_owned()), Some(value.to_owned())]
        };
        let rows = vec![row("", "a", "1"), row("", "a", "2"), row("ada", "a", "3"), vec![None, None, None]];
        let defaults = Defaults(RwLock::new(Arc::new(values_of(rows))));
        assert_eq!(defaults.get("ada", "a").as_deref(), Some("3"));
        assert_eq!(defaults.get("bob", "a").as_deref(), Some("2"));
        assert_eq!(defaults.get("bob", "b"), None);
    }
}
