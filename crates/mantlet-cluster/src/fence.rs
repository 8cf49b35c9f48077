//! What plans may read: files below folders that were named, and nothing else; and nothing may be written.
//!
//! A plan comes from another process and names files. Whoever runs it looks each of them up here: the path is resolved,
//! symbolic links and all, and has to end below a root.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::{Result as QueryResult, exec_err, plan_err};
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::object_store::path::Path as Location;
use datafusion::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use url::Url;

use crate::ClusterError;

/// What is said of a file that may not be read.
const OUTSIDE: &str = "lies below no root of this process; name its folder with --root";
/// The name of this store in its errors.
const STORE: &str = "fenced files";

/// Folders and files that may be read, with all that lies below them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    paths: Arc<[PathBuf]>,
}

impl Roots {
    /// These folders or files.
    ///
    /// # Errors
    /// When one does not exist or cannot be reached.
    pub fn new<P: AsRef<Path>>(
        paths: impl IntoIterator<Item = P>,
    ) -> std::result::Result<Self, ClusterError> {
        let resolve = |path: P| {
            let path = path.as_ref();
            path.canonicalize().map_err(|source| ClusterError::Io { path: path.to_owned(), source })
        };
        Ok(Self { paths: paths.into_iter().map(resolve).collect::<std::result::Result<_, _>>()? })
    }

    /// Nothing at all.
    #[must_use]
    pub(crate) fn none() -> Self {
        Self { paths: Arc::new([]) }
    }

    /// The path behind all links, which has to lie below a root.
    pub(crate) fn place(&self, path: &Path) -> QueryResult<PathBuf> {
        match self.resolve(path) {
            Ok(Some(path)) => Ok(path),
            Ok(None) => exec_err!("{} {OUTSIDE}", path.display()),
            Err(error) => exec_err!("cannot read {}: {error}", path.display()),
        }
    }

    /// The path behind all links, when it lies below a root.
    fn resolve(&self, path: &Path) -> std::io::Result<Option<PathBuf>> {
        let path = path.canonicalize()?;
        Ok(self.paths.iter().any(|root| path.starts_with(root)).then_some(path))
    }
}

/// The files below the roots as a store that can only be read.
#[derive(Debug)]
struct Fenced {
    files: LocalFileSystem,
    roots: Roots,
}

impl Fenced {
    /// The resolved place of a file, when it lies below a root.
    fn place(&self, location: &Location) -> Result<Location> {
        if location.as_ref().is_empty() {
            return Err(refused(location, "the whole file system is below no root of this process"));
        }
        let path = self.files.path_to_filesystem(location)?;
        match self.roots.resolve(&path) {
            Ok(Some(path)) => Ok(Location::from_absolute_path(path)?),
            Ok(None) => Err(refused(location, OUTSIDE)),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
                Err(Error::NotFound { path: location.to_string(), source: Box::new(source) })
            }
            Err(source) => Err(Error::Generic { store: STORE, source: Box::new(source) }),
        }
    }
}

fn refused(location: &Location, why: &'static str) -> Error {
    Error::PermissionDenied { path: format!("/{location}"), source: why.into() }
}

fn written(location: &Location) -> Error {
    refused(location, "plans of the cluster may read and not write")
}

impl fmt::Display for Fenced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

#[async_trait]
impl ObjectStore for Fenced {
    async fn put_opts(&self, location: &Location, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(written(location))
    }

    async fn put_multipart_opts(
        &self,
        location: &Location,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(written(location))
    }

    async fn get_opts(&self, location: &Location, options: GetOptions) -> Result<GetResult> {
        let mut found = self.files.get_opts(&self.place(location)?, options).await?;
        // As it was asked for: callers look it up again by this name.
        found.meta.location = location.clone();
        Ok(found)
    }

    async fn get_ranges(&self, location: &Location, ranges: &[Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        self.files.get_ranges(&self.place(location)?, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Location>>,
    ) -> BoxStream<'static, Result<Location>> {
        locations.and_then(|location| async move { Err(written(&location)) }).boxed()
    }

    fn list(&self, prefix: Option<&Location>) -> BoxStream<'static, Result<ObjectMeta>> {
        let root = Location::default();
        let prefix = prefix.unwrap_or(&root);
        match self.place(prefix) {
            Ok(_) => self.files.list(Some(prefix)),
            Err(error) => stream::once(async move { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Location>) -> Result<ListResult> {
        let root = Location::default();
        let prefix = prefix.unwrap_or(&root);
        self.place(prefix)?;
        self.files.list_with_delimiter(Some(prefix)).await
    }

    async fn copy_opts(&self, _: &Location, to: &Location, _: CopyOptions) -> Result<()> {
        Err(written(to))
    }
}

/// The only store there is.
#[derive(Debug)]
pub(crate) struct Fence {
    store: Arc<Fenced>,
}

impl Fence {
    pub(crate) fn new(roots: Roots) -> Self {
        Self { store: Arc::new(Fenced { files: LocalFileSystem::new(), roots }) }
    }
}

impl ObjectStoreRegistry for Fence {
    /// Takes none: a plan cannot bring a way around.
    fn register_store(&self, _: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> QueryResult<Arc<dyn ObjectStore>> {
        if url.scheme() != "file" {
            return plan_err!("only files are read here, not {}://", url.scheme());
        }
        Ok(Arc::clone(&self.store) as Arc<dyn ObjectStore>)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::object_store::ObjectStoreExt as _;

    use super::*;

    #[tokio::test]
    async fn only_what_lies_below_a_root_is_read_and_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (open, closed) = (folder.path().join("open"), folder.path().join("closed"));
        std::fs::create_dir_all(&open).unwrap();
        std::fs::create_dir_all(&closed).unwrap();
        std::fs::write(open.join("a.parquet"), "a").unwrap();
        std::fs::write(closed.join("b.parquet"), "b").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(closed.join("b.parquet"), open.join("link.parquet")).unwrap();
        let fence = Fence::new(Roots::new([&open]).unwrap());
        let store = fence.get_store(&Url::parse("file:///").unwrap()).unwrap();
        let at = |path: PathBuf| Location::from_absolute_path(path).unwrap();
        let good = store.get(&at(open.join("a.parquet"))).await.unwrap();
        assert_eq!(good.bytes().await.unwrap().as_ref(), b"a");
        for path in [closed.join("b.parquet"), open.join("link.parquet")] {
            let error = store.get(&at(path)).await.unwrap_err();
            assert!(matches!(error, Error::PermissionDenied { .. }), "{error}");
        }
        let error = store.get(&at(open.join("none.parquet"))).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        for prefix in [Some(at(closed)), None] {
            let listed: Vec<Result<ObjectMeta>> = store.list(prefix.as_ref()).collect().await;
            assert!(matches!(listed.as_slice(), [Err(Error::PermissionDenied { .. })]), "{listed:?}");
        }
        let place = at(open.join("new.parquet"));
        let error = store.put(&place, "new".into()).await.unwrap_err();
        assert!(matches!(error, Error::PermissionDenied { .. }), "{error}");
        let error = store.delete(&at(open.join("a.parquet"))).await.unwrap_err();
        assert!(matches!(error, Error::PermissionDenied { .. }), "{error}");
        assert!(open.join("a.parquet").exists() && !open.join("new.parquet").exists());
        assert!(fence.get_store(&Url::parse("s3://bucket/").unwrap()).is_err());
        let way_around = Arc::new(LocalFileSystem::new());
        assert!(fence.register_store(&Url::parse("s3://bucket/").unwrap(), way_around).is_none());
        assert!(fence.get_store(&Url::parse("s3://bucket/").unwrap()).is_err());
    }
}
