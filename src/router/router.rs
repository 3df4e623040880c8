//! What all sessions of a router share.

use std::sync::Arc;

use howdah_catalog::Catalog;
use tokio::sync::watch;

use crate::config::RouterConfig;
use crate::pool::Pools;

pub struct Router {
    pub(crate) config: RouterConfig,
    pub(crate) pools: Pools,
    pub(crate) catalog: watch::Receiver<Arc<Catalog>>,
}
