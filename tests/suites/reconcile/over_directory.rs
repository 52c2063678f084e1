//! Stores of tests that are a site's directory, but for what a test is about.

/// The methods of a `ResourceStore` that hand on to its field `directory`, as far as no test has its own.
macro_rules! as_in_directory {
    () => {
        async fn secret(&self, key: &ObjectKey) -> Result<Option<SecretData>, StoreError> {
            self.directory.secret(key).await
        }

        async fn config_map(&self, key: &ObjectKey) -> Result<Option<ConfigMapData>, StoreError> {
            self.directory.config_map(key).await
        }

        async fn apply_image(&self, owner: &ImageListSubscription, identifier: &ImageId) -> Result<(), StoreError> {
            self.directory.apply_image(owner, identifier).await
        }

        async fn delete_image(&self, key: &ObjectKey) -> Result<(), StoreError> {
            self.directory.delete_image(key).await
        }

        async fn set_finalizer<K: Resource>(&self, key: &ObjectKey, held: bool) -> Result<(), StoreError> {
            self.directory.set_finalizer::<K>(key, held).await
        }
    };
}
pub(super) use as_in_directory;

/// The same of the methods that read objects.
macro_rules! objects_of_directory {
    () => {
        fn get<K: Resource>(&self, key: &ObjectKey) -> Option<Arc<K>> {
            self.directory.get(key)
        }

        fn list<K: Resource>(&self, namespace: &str) -> Vec<Arc<K>> {
            self.directory.list(namespace)
        }

        fn all<K: Resource>(&self) -> Vec<Arc<K>> {
            self.directory.all()
        }
    };
}
pub(super) use objects_of_directory;
