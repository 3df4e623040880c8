//! Reading and writing objects of Kubernetes. Every write asks first whether this process still leads.
use std::fmt::Debug;

use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions};
use kube::core::{GroupVersionKind, NamespaceResourceScope};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;
use crate::leader::Leadership;

#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    leadership: Leadership,
}

impl Cluster {
    pub(crate) fn new(client: Client, leadership: Leadership) -> Self {
        Self { client, leadership }
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(crate) fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    pub(crate) fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    pub(crate) async fn list<K>(&self, namespace: &str, selector: &str) -> Result<Vec<K>, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let list = self.api::<K>(namespace).list(&ListParams::default().labels(selector)).await?;
        Ok(list.items)
    }

    /// Server-side apply: what we say about an object is as we say it, what others say stays.
    pub(crate) async fn apply(&self, object: &DynamicObject) -> Result<DynamicObject, Error> {
        self.leadership.check()?;
        let api = self.dynamic(object);
        Ok(api.patch(&object.name_any(), &force(), &Patch::Apply(object)).await?)
    }

    pub(crate) async fn apply_status(&self, object: &DynamicObject) -> Result<(), Error> {
        self.leadership.check()?;
        let api = self.dynamic(object);
        api.patch_status(&object.name_any(), &force(), &Patch::Apply(object)).await?;
        Ok(())
    }

    pub(crate) async fn merge<K>(&self, namespace: &str, name: &str, patch: &Value) -> Result<(), Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        self.leadership.check()?;
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        self.api::<K>(namespace).patch(name, &params, &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Exactly this object: one of the same name that was made since stays.
    pub(crate) async fn delete<K>(&self, object: &K) -> Result<(), Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        self.leadership.check()?;
        let uid = object.uid();
        let preconditions = Preconditions { uid, resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        let api = self.api::<K>(&object.namespace().unwrap_or_default());
        match api.delete(&object.name_any(), &params).await {
            // It is gone, or another one is there.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    fn dynamic(&self, object: &DynamicObject) -> Api<DynamicObject> {
        let types = object.types.as_ref().expect("every object that is applied has a kind");
        let gvk = GroupVersionKind::try_from(types).expect("an apiVersion has one slash at most");
        let namespace = object.namespace().unwrap_or_default();
        Api::namespaced_with(self.client.clone(), &namespace, &ApiResource::from_gvk(&gvk))
    }
}

fn force() -> PatchParams {
    PatchParams::apply(MANAGER).force()
}

pub(crate) const MANAGER: &str = "howdah-operator";
