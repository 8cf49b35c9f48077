//! `mantlet keys ...` and `mantlet users ...`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use mantlet_access::{Role, Scope, User};
use mantlet_store::Store;

use super::open_store;
use crate::runtime::{self, entropy};
use crate::terminal::Terminal;

/// What to do with callers' keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key; it is shown once and kept only as a hash.
    Add {
        /// What the key is for.
        label: String,
        /// The folder with mantlet.toml.
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// What it may do: `infer:*`, `infer:MODEL`, `metrics`, `manage`, or `step-up` to answer challenges to the
        /// same user's other keys.
        #[arg(long, default_value = "infer:*")]
        scope: Vec<Scope>,
        /// Days until it expires; never when absent.
        #[arg(long)]
        days: Option<u64>,
        /// The user it belongs to, whose limits it counts towards.
        #[arg(long)]
        user: Option<String>,
        /// The tenant it belongs to, whose limits it counts towards.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Every key, without its secret.
    List {
        /// The folder with mantlet.toml.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Make a key that follows another one: the same label, scopes and owner. The other one ends after an overlap.
    Rotate {
        /// The key's id.
        id: String,
        /// The folder with mantlet.toml.
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Hours for which both keys count.
        #[arg(long, default_value_t = 24)]
        hours: u64,
        /// Days until the new key expires; never when absent.
        #[arg(long)]
        days: Option<u64>,
    },
    /// Withdraw a key for good.
    Revoke {
        /// The key's id.
        id: String,
        /// The folder with mantlet.toml.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
}

/// What to do with people.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a person; a password is made and shown once.
    Add {
        /// The name to sign in with.
        name: String,
        /// The folder with mantlet.toml.
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// viewer, operator, reviewer, approver or admin.
        #[arg(long, default_value = "operator")]
        role: Role,
    },
    /// Every person with their role.
    List {
        /// The folder with mantlet.toml.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Shut a person out.
    Disable {
        /// The name.
        name: String,
        /// The folder with mantlet.toml.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
}

/// Runs `mantlet keys`.
///
/// # Errors
/// When the store cannot be used.
pub fn run(terminal: Terminal, command: KeyCommand) -> anyhow::Result<ExitCode> {
    runtime::block_on(async {
        match command {
            KeyCommand::Add { label, folder, scope, days, user, tenant } => {
                let (_, store) = open_store(&folder).await?;
                let expires = days.map(|days| store.now().plus(days.saturating_mul(86_400_000)));
                let (secret, key) =
                    store.make_owned_key(&label, scope, expires, (user, tenant), &runtime::actor()).await?;
                terminal.note(&format!("key {} for {label}; it is shown once:", key.id));
                terminal.say(secret.expose());
                store.close().await?;
            }
            KeyCommand::List { folder } => {
                let (_, store) = open_store(&folder).await?;
                let now = store.now();
                for key in store.keys().await? {
                    let scopes: Vec<String> = key.scopes.iter().map(ToString::to_string).collect();
                    let state = match key.expires {
                        _ if key.revoked.is_some() => "revoked".to_owned(),
                        Some(end) if end <= now => "expired".to_owned(),
                        Some(end) => format!("in force, {} left", left(end.since(now))),
                        None => "in force".to_owned(),
                    };
                    terminal.say(&format!("{}  {state:<9} {:<24} {}", key.id, scopes.join(","), key.label));
                }
                store.close().await?;
            }
            KeyCommand::Rotate { id, folder, hours, days } => {
                let (loaded, store) = open_store(&folder).await?;
                let expires = days.map(|days| store.now().plus(days.saturating_mul(86_400_000)));
                let overlap = hours.saturating_mul(3_600_000);
                let (secret, key) = store.rotate_key(&id, overlap, expires, &runtime::actor()).await?;
                crate::deploy::announce(&loaded).await;
                terminal.note(&format!(
                    "key {} follows {id}, which counts for {} more; it is shown once:",
                    key.id,
                    left(overlap)
                ));
                terminal.say(secret.expose());
                store.close().await?;
            }
            KeyCommand::Revoke { id, folder } => {
                let (loaded, store) = open_store(&folder).await?;
                store.revoke_key(&id, &runtime::actor()).await?;
                crate::deploy::announce(&loaded).await;
                terminal.say(&format!("key {id} is revoked; a running gateway refuses it within seconds"));
                store.close().await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// A time in the largest unit that it fills twice.
fn left(millis: u64) -> String {
    match millis / 3_600_000 {
        0 => format!("{} minutes", millis / 60_000),
        hours @ 1..48 => format!("{hours} hours"),
        hours => format!("{} days", hours / 24),
    }
}

/// Runs `mantlet users`.
///
/// # Errors
/// When the store cannot be used.
pub fn users(terminal: Terminal, command: UserCommand) -> anyhow::Result<ExitCode> {
    runtime::block_on(async {
        match command {
            UserCommand::Add { name, folder, role } => {
                let (_, store) = open_store(&folder).await?;
                anyhow::ensure!(
                    store.user(&name).await?.is_none(),
                    "{name} is known already: choose another name"
                );
                let password = add_user(&store, &name, role, &runtime::actor()).await?;
                terminal.note(&format!("{name} is {role}; the password is shown once:"));
                terminal.say(&password);
                store.close().await?;
            }
            UserCommand::List { folder } => {
                let (_, store) = open_store(&folder).await?;
                for user in store.users().await? {
                    let state = if user.disabled.is_some() { "disabled" } else { "active" };
                    terminal.say(&format!("{:<20} {:<9} {state}", user.name, user.role));
                }
                store.close().await?;
            }
            UserCommand::Disable { name, folder } => {
                let (_, store) = open_store(&folder).await?;
                let Some(user) = store.user(&name).await? else { anyhow::bail!("{name} is not known here") };
                let user = User { disabled: Some(store.now()), ..user };
                store.put_user(&user, &runtime::actor()).await?;
                store.end_sessions_of(&name).await?;
                terminal.say(&format!("{name} is shut out"));
                store.close().await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Adds a person with a made password and gives it, to be shown once.
///
/// # Errors
/// When the store or the system's randomness fails.
pub async fn add_user(store: &Store, name: &str, role: Role, actor: &str) -> anyhow::Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let random: [u8; 20] = entropy()?;
    let mut password = String::new();
    for (index, byte) in random.iter().enumerate() {
        if index > 0 && index % 5 == 0 {
            password.push('-');
        }
        // 32 letters divide 256: each is equally likely, 5 bits each, 100 bits in all.
        password.push(char::from(LETTERS[usize::from(byte % 32)]));
    }
    let user = User::new(name, role, &password, &entropy::<16>()?, store.now())?;
    store.put_user(&user, actor).await?;
    Ok(password)
}
