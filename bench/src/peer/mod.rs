//! The servers that are compared: how each is configured, started, filled and ended.

mod config;
mod process;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::content::{Blob, Content, MANIFEST_TYPE, REPOSITORY, TAG};
use crate::http::{Client, Target};
use crate::procfs::{self, Memory};

pub(crate) use config::{Setup, config_file, data_directory};
pub(crate) use process::{Process, end_all};

/// What kind of server a program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Roadstead as it comes, without a configuration file: every request is a line of its log.
    RoadsteadAsItComes,
    /// The same without the line a request.
    Roadstead,
    /// Serves the same content as files.
    Nginx,
    /// `distribution`, or anything that takes its command line and its configuration.
    Distribution,
    Zot,
}

/// A program to compare.
#[derive(Debug, Clone)]
pub(crate) struct Contestant {
    /// The heading of its column.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
}

impl Contestant {
    /// Whether content can be pushed to it.
    pub(crate) fn takes_pushes(&self) -> bool {
        self.kind != Kind::Nginx
    }
}

/// A running server.
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) target: Target,
    kind: Kind,
    process: Process,
    directory: TempDir,
}

impl Peer {
    /// Starts a contestant in a directory of its own below `parent`, and waits until it listens.
    ///
    /// # Errors
    /// Where it ends or does not listen; the error carries what it wrote.
    pub(crate) async fn start(
        contestant: &Contestant,
        parent: &Path,
        setup: Setup<'_>,
    ) -> Result<Self> {
        let directory = tempfile::tempdir_in(parent)?;
        Self::start_in(contestant, directory, setup).await
    }

    /// The same in a directory that may hold content already.
    ///
    /// # Errors
    /// Those of [`Peer::start`].
    pub(crate) async fn start_in(
        contestant: &Contestant,
        directory: TempDir,
        setup: Setup<'_>,
    ) -> Result<Self> {
        // The kernel hands ports out in turn: nobody else gets this one before the server does.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let command = config::command(contestant, directory.path(), address, setup)?;
        let mut process = Process::spawn(command, directory.path())?;
        process.wait_until_it_listens(address).await?;
        Ok(Self {
            name: contestant.name.clone(),
            target: Target {
                address,
                tls: setup.tls.cloned(),
            },
            kind: contestant.kind,
            process,
            directory,
        })
    }

    /// Its processor time so far, that of its workers included.
    ///
    /// # Errors
    /// Where it is gone.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        procfs::cpu_time(self.process.id())
            .with_context(|| format!("{}: {}", self.name, self.process.said()))
    }

    /// Its memory, that of its workers included.
    ///
    /// # Errors
    /// Where it is gone.
    pub(crate) fn memory(&self) -> Result<Memory> {
        procfs::memory(self.process.id())
            .with_context(|| format!("{}: {}", self.name, self.process.said()))
    }

    /// The directory that it has to itself.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Counts the growth of its peak from now on.
    pub(crate) fn forget_peak(&self) {
        procfs::forget_peak(self.process.id());
    }

    /// Ends it and hands its directory on.
    pub(crate) fn stop(self) -> TempDir {
        let Self {
            process, directory, ..
        } = self;
        drop(process);
        directory
    }

    /// Puts the content there; the largest blob only where it is asked for.
    ///
    /// # Errors
    /// Where the server refuses it.
    pub(crate) async fn load(&self, content: &Content, with_large: bool) -> Result<()> {
        self.load_as(None, content, with_large).await
    }

    /// The same by somebody who may.
    ///
    /// # Errors
    /// Where the server refuses it.
    pub(crate) async fn load_as(
        &self,
        authorization: Option<&str>,
        content: &Content,
        with_large: bool,
    ) -> Result<()> {
        let mut blobs = vec![&content.config, &content.small, &content.middle];
        if with_large {
            blobs.push(&content.large);
        }
        if self.kind == Kind::Nginx {
            return self.write_files(&blobs, &content.manifest);
        }
        let mut client = Client::connect(&self.target).await?.with(authorization);
        for blob in blobs {
            push_blob(&mut client, REPOSITORY, blob).await?;
        }
        put_manifest(&mut client, REPOSITORY, TAG, &content.manifest).await
    }

    fn write_files(&self, blobs: &[&Blob], manifest: &Blob) -> Result<()> {
        let repository = config::document_root(self.directory.path())
            .join("v2")
            .join(REPOSITORY);
        std::fs::create_dir_all(repository.join("blobs"))?;
        std::fs::create_dir_all(repository.join("manifests"))?;
        for blob in blobs {
            std::fs::write(repository.join("blobs").join(&blob.digest), &blob.bytes)?;
        }
        for reference in [TAG, &manifest.digest] {
            std::fs::write(
                repository.join("manifests").join(reference),
                &manifest.bytes,
            )?;
        }
        Ok(())
    }
}

/// Pushes a blob in a session whose closing request has all the bytes.
///
/// # Errors
/// Where the server refuses it.
pub(crate) async fn push_blob(client: &mut Client, repository: &str, blob: &Blob) -> Result<()> {
    let begin = format!("POST /v2/{repository}/blobs/uploads/");
    let session = client.expect(202, &begin, &[], &[]).await?;
    let close = closing(session.location()?, &blob.digest);
    let octets = [("Content-Type", "application/octet-stream")];
    client.expect(201, &close, &octets, &blob.bytes).await?;
    Ok(())
}

/// The line of the request that closes an upload.
pub(crate) fn closing(location: &str, digest: &str) -> String {
    let mark = if location.contains('?') { '&' } else { '?' };
    format!("PUT {location}{mark}digest={digest}")
}

/// Pushes a manifest.
///
/// # Errors
/// Where the server refuses it.
pub(crate) async fn put_manifest(
    client: &mut Client,
    repository: &str,
    reference: &str,
    manifest: &Blob,
) -> Result<()> {
    let line = format!("PUT /v2/{repository}/manifests/{reference}");
    let headers = [("Content-Type", MANIFEST_TYPE)];
    client.expect(201, &line, &headers, &manifest.bytes).await?;
    Ok(())
}
