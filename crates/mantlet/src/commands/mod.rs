//! One module a command. A command parses its options, wires engines, store and services together, and
//! prints; what it decides is decided below.

pub mod attack;
pub mod audit;
pub mod cluster;
mod conclude;
pub mod config;
pub mod data;
pub mod demo;
pub mod deps;
pub mod effects;
pub mod explain;
pub mod incident;
pub mod init;
pub mod keys;
pub mod monitor;
mod own;
mod probe;
pub mod protect;
mod raise;
pub mod registry;
mod remote;
pub mod review;
mod rollout;
pub mod scan;
pub mod seal;
mod tables;
pub mod up;
pub mod watch;

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use mantlet_access::{Act, User};
use mantlet_store::{Store, SystemClock};
use mantlet_vocab::Examination;

use crate::cli::Reporting;
use crate::config::Loaded;
use crate::exit::Usage;
use crate::terminal::{self, Terminal};

/// Prints an examination in the form asked for.
///
/// # Errors
/// When the output file cannot be written.
pub fn report(terminal: Terminal, examination: &Examination, reporting: &Reporting) -> anyhow::Result<()> {
    let style =
        mantlet_report::Style { colour: terminal.colour && reporting.output.is_none(), ..Default::default() };
    let text = mantlet_report::examination(examination, reporting.format.into(), style);
    terminal::deliver(terminal, &text, reporting.output.as_deref())
}

/// The configuration and the store of a folder, opened as a tool.
///
/// # Errors
/// When there is no valid configuration or the store cannot be opened.
pub async fn open_store(folder: &Path) -> anyhow::Result<(Loaded, Store)> {
    let loaded = crate::config::load(folder)?;
    let options = crate::deploy::store_options(&loaded, false)?;
    let store = Store::open(&loaded.storage(), Arc::new(SystemClock), options).await?;
    Ok((loaded, store))
}

/// Which system is meant: that of a folder, or the one behind one of its further routes.
#[derive(Debug, Clone, clap::Args)]
pub struct Which {
    /// The folder with mantlet.toml.
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// The further route whose system is meant (`[[gateway.routes]]` with `system`); the model's own when absent.
    #[arg(long, value_name = "NAME")]
    pub route: Option<String>,
}

impl Which {
    /// The configuration of that system, kept by the folder's installation.
    ///
    /// # Errors
    /// When there is no valid configuration, or the route has no system.
    pub fn load(&self) -> anyhow::Result<Loaded> {
        let loaded = crate::config::load(&self.folder)?;
        let Some(route) = self.route.as_ref().filter(|route| **route != loaded.config.model.name) else {
            return Ok(loaded);
        };
        let routes = &loaded.config.gateway.routes;
        let Some(further) = routes.iter().find(|further| further.name == *route) else {
            let names: Vec<&str> = routes.iter().map(|further| further.name.as_str()).collect();
            let own = &loaded.config.model.name;
            return Err(
                Usage(format!("there is no route `{route}`; there are {own}, {}", names.join(", "))).into()
            );
        };
        // All of them are read, so that two of one name are told here, too.
        let systems = loaded.systems()?;
        let named =
            |system: &Loaded| system.behind.as_ref().is_some_and(|behind| behind.route == further.name);
        systems.into_iter().find(named).ok_or_else(|| {
            let said = format!(
                "the route `{route}` has no system: name its folder, `system = \"../{route}\"` in `[[gateway.routes]]`"
            );
            Usage(said).into()
        })
    }

    /// The configuration of that system and the store of its installation, opened as a tool.
    ///
    /// # Errors
    /// When there is no valid configuration or the store cannot be opened.
    pub async fn open(&self) -> anyhow::Result<(Loaded, Store)> {
        let loaded = self.load()?;
        let options = crate::deploy::store_options(&loaded, false)?;
        let store = Store::open(&loaded.storage(), Arc::new(SystemClock), options).await?;
        Ok((loaded, store))
    }
}

/// Who acts, proven by their password: from the terminal, or the first line of standard input.
#[derive(Debug, clap::Args)]
pub struct Person {
    /// The person who acts; they must be known (`mantlet users add`).
    #[arg(long, value_name = "NAME")]
    user: String,
    /// Read the password from the first line of standard input.
    #[arg(long)]
    password_stdin: bool,
}

impl Person {
    /// The person, when the password is theirs and their role may do this.
    ///
    /// # Errors
    /// When it is not, or they may not.
    pub async fn prove(&self, store: &Store, act: Act) -> anyhow::Result<User> {
        let password = if self.password_stdin {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).context("cannot read the password")?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        } else {
            rpassword::prompt_password(format!("Password of {}: ", self.user)).map_err(|_| {
                Usage("there is no terminal to ask for the password: use --password-stdin".to_owned())
            })?
        };
        let known = store.user(&self.user).await?;
        let wrong = || Usage(format!("{} is not known here, or that is not their password", self.user));
        let Some(user) = known else {
            mantlet_access::spend_password_time(&password);
            return Err(wrong().into());
        };
        if !user.is_password(&password) {
            return Err(wrong().into());
        }
        if !mantlet_access::may(user.role, act) {
            return Err(Usage(format!("{} is {} and may not do this", user.name, user.role)).into());
        }
        Ok(user)
    }
}
