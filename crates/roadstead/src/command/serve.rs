//! `roadstead serve`: from the configuration to a registry that answers, and back to nothing when a
//! signal comes.
//!
//! The order of a start: configuration, log, sockets, stores, interface. Whatever is wrong is found
//! before the first request is taken. The order of a stop: the sockets close, requests in flight
//! end, writes under way end, the stores close.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use roadstead_auth::Authoriser;
use roadstead_registry::Registry;
use roadstead_server::{App, Health, Server};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{self, Settings};
use crate::parts::{Access, AtPerimeter, Encryption, Recorded, Users};
use crate::process::{self, Signals};
use crate::reload::Reloader;
use crate::socket::{self, Bound};
use crate::{encryption, logging, startup_lines, wire};

/// Serves until a signal to stop.
///
/// # Errors
/// Whatever keeps it from starting, and a metadata database that can no longer be trusted.
pub(crate) fn run(path: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let variables = super::variables();
    let path = super::config_path(path, &variables);
    let loaded = config::load(path.as_deref(), &variables)?;
    let levels = logging::start(&loaded.settings.log)?;
    for line in &loaded.warnings {
        tracing::warn!("{line}");
    }
    for line in &loaded.notes {
        tracing::info!("{line}");
    }
    process::keep_files_private();
    let open_files = process::raise_open_files();
    // Read before any thread is started: it takes the variables out of the environment.
    let inherited = socket::inherited()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads that serve")?;
    let served = runtime.block_on(async {
        let start = Start {
            reloader: Reloader::new(path.clone(), variables, &loaded.settings, loaded.warnings)
                .with(levels),
            settings: loaded.settings,
            built_in: path.is_none(),
            open_files,
            inherited,
        };
        start.serve().await
    });
    // Nothing waits for a thread that may hang on a broken disk.
    runtime.shutdown_background();
    served
}

/// What a start knows once the configuration is read.
struct Start {
    settings: Settings,
    reloader: Reloader,
    built_in: bool,
    open_files: u64,
    inherited: Option<Bound>,
}

impl Start {
    async fn serve(self) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::take_over().context("cannot handle signals")?;
        let settings = &self.settings;
        let bound = match self.inherited {
            Some(bound) => bound,
            None => socket::bind(&settings.http.listen)?,
        };
        let debug = settings.http.debug.as_ref().map(socket::bind).transpose()?;
        let challenges = settings.http.tls.as_ref().and_then(config::Tls::challenges);
        let challenges = challenges.map(socket::bind).transpose()?;
        let (perimeter, audit) = wire::perimeter(settings)?;
        let stores = wire::stores(&settings.storage).await?;
        let metadata = stores.metadata.clone();
        let tls = encryption::start(settings, metadata.clone()).await?;
        let authoriser = Arc::new(wire::authoriser(settings, metadata.clone()).await?);
        let reloader = self.reloader.with(AtPerimeter(Arc::clone(&perimeter)));
        let reloader = reloader.with(Access(Arc::clone(&authoriser)));
        let reloader = reloader.with(Users(Arc::clone(&authoriser)));
        let reloader = reloader.with_any(tls.clone().map(|(tls, _)| Encryption(tls)));
        let reloader = reloader.with_any(audit.clone().map(Recorded));
        let reloader = Arc::new(reloader.reopening(audit.clone()));
        let registry = Arc::new(wire::registry(settings, stores)?);
        let health = Arc::new(Health::of(Arc::clone(&registry)));
        let app = App::new(
            Arc::clone(&registry),
            Arc::clone(&authoriser),
            wire::app_settings(settings),
            Arc::clone(&health),
        );
        let app = app.behind(perimeter);
        let told = Arc::clone(&reloader);
        health.tell(move || told.problems());
        let limits = wire::limits(&settings.http.limits, self.open_files);
        let server = Server::new(
            Arc::new(app),
            limits,
            tls.clone().map(|(tls, _)| tls),
            settings.http.h2c,
        )?;

        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        background(&tasks, settings, &registry, &health, &stop);
        let (keeping, stopped) = (Arc::clone(&authoriser), stop.clone());
        tasks.spawn(async move {
            stopped.run_until_cancelled(keeping.keep_current()).await;
        });
        tasks.spawn(tend_keys(authoriser, stop.clone()));
        let hangup = Arc::new(Notify::new());
        tasks.spawn(reloader.run(Arc::clone(&hangup), stop.clone()));
        if let Some((tls, acme)) = tls {
            tasks.spawn(tls.watch(stop.clone()));
            if let (Some(acme), Some(challenges)) = (acme, challenges) {
                tracing::info!(
                    "challenges of ACME are answered at {}",
                    challenges.address()
                );
                tasks.spawn(acme.answer_over_http(challenges.into(), stop.clone()));
            }
        }
        let address = bound.address();
        let debug_address = debug.as_ref().map(Bound::address);
        if let Some(debug) = debug {
            let health = Arc::clone(&health);
            tasks.spawn(roadstead_server::debug::serve(
                debug.into(),
                health,
                stop.clone(),
            ));
        }
        let socket_file = bound.socket_file();
        announce(settings, self.built_in, &address, debug_address.as_deref());

        let serving = server.serve(bound.into(), stop.clone(), settings.http.drain_timeout);
        tokio::pin!(serving);
        let mut failed = false;
        tokio::select! {
            ended = &mut serving => ended?,
            () = metadata.failed() => failed = true,
            signal = signals.stop(&hangup) => {
                tracing::info!(signal, "stopping: no new connections, requests in flight may end");
                stop.cancel();
                tokio::select! {
                    ended = &mut serving => ended?,
                    () = metadata.failed() => failed = true,
                    signal = signals.stop(&hangup) => {
                        tracing::warn!(signal, "stopped at once by a second signal");
                        remove_socket_file(socket_file.as_deref());
                        return Ok(ExitCode::FAILURE);
                    }
                }
            }
        }
        stop.cancel();
        remove_socket_file(socket_file.as_deref());
        if let Some(audit) = audit {
            audit.finish().await;
        }
        if failed {
            anyhow::bail!(
                "the metadata database failed: nothing can be acknowledged any more; look at its \
                 disk, then start again"
            );
        }
        registry.finish().await;
        tasks.close();
        tasks.wait().await;
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    }
}

/// Starts what runs beside the requests.
fn background(
    tasks: &TaskTracker,
    settings: &Settings,
    registry: &Arc<Registry>,
    health: &Arc<Health>,
    stop: &CancellationToken,
) {
    tasks.spawn(Arc::clone(registry).maintain(stop.clone()));
    if let Some(check) = settings.health.storage {
        tasks.spawn(Arc::clone(health).watch(
            Arc::clone(registry),
            wire::health_name(&settings.storage.driver),
            check.interval,
            check.threshold,
            stop.clone(),
        ));
    }
}

/// Keeps the keys that tokens are signed with the same on all replicas, and young.
async fn tend_keys(authoriser: Arc<Authoriser>, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(TEND_KEYS))
        .await
        .is_some()
    {
        if let Err(error) = authoriser.tend().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "token signing keys cannot be read again; those of before stay in force"
            );
        }
    }
}

/// How often keys of other replicas are looked for.
const TEND_KEYS: Duration = Duration::from_secs(60);

/// The line that says where requests are taken, and the plain ones of a start without a file.
fn announce(settings: &Settings, built_in: bool, address: &str, debug: Option<&str>) {
    if built_in {
        for line in startup_lines::lines(settings, address) {
            println!("{line}");
        }
    }
    if let Some(at) = debug {
        tracing::info!("debug server: /debug/health at {at}");
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        "listening on {address}"
    );
}

/// Takes the unix socket away that this process made.
fn remove_socket_file(path: Option<&Path>) {
    if let Some(path) = path
        && let Err(error) = std::fs::remove_file(path)
    {
        tracing::warn!(%error, path = %path.display(), "the unix socket could not be removed");
    }
}
