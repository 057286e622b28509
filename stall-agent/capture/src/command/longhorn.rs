//! Longhorn's v1 data engine: `longhorn [FLAGS] controller|replica|sync-agent ...`.
//!
//! The order of flags varies by release, so the subcommand is found among the words that are no flag and no value of
//! one that takes a value before it.

use super::arguments::value_of;

/// The controller of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Engine {
    pub volume: Option<String>,
    /// Addresses of the replicas it was started with; those rebuilt later are not among them.
    pub replicas: Vec<String>,
}

/// A replica on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replica {
    pub volume: Option<String>,
    /// Path on the host.
    pub directory: Option<String>,
}

/// Flags before the subcommand that take a value.
const VALUED: [&str; 4] = [
    "--volume-name",
    "--engine-instance-name",
    "--replica-instance-name",
    "--url",
];

/// What a `longhorn` is known to be.
pub(super) enum Longhorn {
    Engine(Engine),
    Replica(Replica),
    SyncAgent { volume: Option<String> },
    Other,
}

pub(super) fn read(args: &[String]) -> Option<Longhorn> {
    let at = subcommand(args)?;
    let rest = &args[at + 1..];
    let command = match args[at].as_str() {
        "controller" => Longhorn::Engine(Engine {
            volume: first_word(rest)
                .or_else(|| instance(args, "--engine-instance-name", "-e-"))
                .or_else(|| named(args)),
            replicas: replicas(rest),
        }),
        "replica" => {
            let directory = first_word(rest).map(|path| on_host(&path));
            Longhorn::Replica(Replica {
                volume: named(args)
                    .or_else(|| instance(args, "--replica-instance-name", "-r-"))
                    .or_else(|| of_directory(directory.as_deref()?)),
                directory,
            })
        }
        "sync-agent" => Longhorn::SyncAgent {
            volume: named(args).or_else(|| instance(args, "--replica-instance-name", "-r-")),
        },
        _ => Longhorn::Other,
    };
    Some(command)
}

fn subcommand(args: &[String]) -> Option<usize> {
    let mut at = 1;
    while at < args.len() {
        let arg = args[at].as_str();
        if VALUED.contains(&arg) {
            at += 2;
        } else if arg.starts_with('-') {
            at += 1;
        } else {
            return Some(at);
        }
    }
    None
}

/// The word right after the subcommand.
fn first_word(rest: &[String]) -> Option<String> {
    let word = rest.first()?;
    (!word.starts_with('-') && !word.is_empty()).then(|| word.clone())
}

fn named(args: &[String]) -> Option<String> {
    let name = value_of(args, &["--volume-name"])?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// `pvc-1234-e-0` is an engine of `pvc-1234`.
fn instance(args: &[String], flag: &str, mark: &str) -> Option<String> {
    let (volume, _) = value_of(args, &[flag])?.rsplit_once(mark)?;
    (!volume.is_empty()).then(|| volume.to_owned())
}

/// `<volume>-<8 hexadecimal digits>`
fn of_directory(path: &str) -> Option<String> {
    let name = path.trim_end_matches('/').rsplit('/').next()?;
    let (volume, tail) = name.rsplit_once('-')?;
    let plausible = tail.len() == 8 && tail.bytes().all(|byte| byte.is_ascii_hexdigit());
    (plausible && !volume.is_empty()).then(|| volume.to_owned())
}

fn replicas(args: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == "--replica" {
            found.extend(rest.next().cloned());
        } else if let Some(address) = arg.strip_prefix("--replica=") {
            found.push(address.to_owned());
        }
    }
    found
}

/// The instance manager has the host's root at `/host`.
fn on_host(path: &str) -> String {
    let inner = path.strip_prefix("/host");
    inner
        .filter(|inner| inner.starts_with('/'))
        .unwrap_or(path)
        .to_owned()
}
