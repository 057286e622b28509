//! `cargo xtask vm [KERNEL...]`: boots other kernels in QEMU, by software emulation, and has the static agent show on
//! each what it can do; the checks are `stall_tests::guest`'s.
//!
//! Two machines at a time. Ends with a table and one line of counts; fails when a check failed or a machine did not
//! come to its end.

mod disks;
mod emulators;
mod machine;
mod parts;
pub(crate) mod reader;
mod running;
mod table;
mod turn;
mod wanted;

use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use std::vec::IntoIter;

use anyhow::{Result, ensure};

use crate::lab::kernel::{KERNELS, Kernel};
use crate::setup;
use crate::workspace::Workspace;
pub(crate) use parts::Downloads;
use parts::Parts;
use table::Row;
pub(crate) use table::Table;
use turn::Turn;
pub(crate) use wanted::{ALL, Wanted};

/// Machines at the same time.
const AT_ONCE: usize = 2;

const WITHIN: Duration = Duration::from_secs(900);

/// Runs checks on the kernels of these names, or on all.
pub(crate) fn run(workspace: &Workspace, names: &[String], checks: &str) -> Result<ExitCode> {
    let kernels = chosen(names)?;
    setup::run(workspace, &[])?;
    let downloads = Downloads::get(workspace, &kernels)?;
    let wanted = Wanted {
        checks: checks.to_owned(),
        within: WITHIN,
    };
    let table = play(workspace, &kernels, downloads, &wanted)?;
    println!("{table}");
    Ok(if table.clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Builds what is missing, and runs the checks on each of the kernels.
pub(crate) fn play(
    workspace: &Workspace,
    kernels: &[Kernel],
    downloads: Downloads,
    wanted: &Wanted,
) -> Result<Table> {
    let parts = Parts::build(workspace, kernels, downloads)?;
    let queue = Mutex::new(turn::all(kernels, wanted).into_iter());
    let rows = Mutex::new(kernels.iter().map(|kernel| Row::new(kernel.name)).collect());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(turn) = next(&queue) {
                    let (said, ended) = machine::run(&parts, &turn, wanted.within);
                    let mut rows: MutexGuard<'_, Vec<Row>> = locked(&rows);
                    let row = rows.iter_mut().find(|row| row.kernel == turn.kernel.name);
                    row.expect("there is a row for each kernel")
                        .add(&said, ended);
                }
            });
        }
    });
    let rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Table { rows })
}

fn next(queue: &Mutex<IntoIter<Turn>>) -> Option<Turn> {
    locked(queue).next()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Those of these names, in their order; all of them without.
pub(crate) fn chosen<T: AsRef<str>>(names: &[T]) -> Result<Vec<Kernel>> {
    let known: Vec<&str> = KERNELS.iter().map(|kernel| kernel.name).collect();
    for name in names {
        ensure!(
            known.contains(&name.as_ref()),
            "there is no kernel {}; there are {}",
            name.as_ref(),
            known.join(", ")
        );
    }
    if names.is_empty() {
        return Ok(KERNELS.to_vec());
    }
    let named = |name: &T| KERNELS.iter().find(|kernel| kernel.name == name.as_ref());
    Ok(names.iter().filter_map(named).copied().collect())
}
