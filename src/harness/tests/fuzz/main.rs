//! Mutated input for what reads bytes of strangers: the wire protocol, the lexer, the splicer.
//!
//! Each target runs for `HOWDAH_FUZZ_SECONDS` (2 in CI) from `HOWDAH_SEED`; every input that ever broke one is kept in
//! `src/harness/fuzz/<target>/`, and is tried first. A failure shows its input.

mod lexer;
mod mutate;
mod splicer;
mod wire;

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use howdah_harness::generator::Random;
use howdah_harness::group::repository_root;

/// Runs a target: `make` mutates, `check` panics if what it finds must not be.
fn run<I: Debug>(
    target: &str,
    kept: impl Fn(&[u8]) -> I,
    mut make: impl FnMut(&mut Random) -> I,
    check: impl Fn(&I),
) {
    let folder = repository_root().join("src/harness/fuzz").join(target);
    let mut inputs = 0_u64;
    for input in files(&folder) {
        try_input(&kept(&input), &check);
        inputs += 1;
    }
    let mut random = Random::new(number("HOWDAH_SEED").unwrap_or(1));
    let end = Instant::now() + Duration::from_secs(number("HOWDAH_FUZZ_SECONDS").unwrap_or(2));
    while Instant::now() < end {
        for _ in 0..64 {
            try_input(&make(&mut random), &check);
            inputs += 1;
        }
    }
    eprintln!("{target}: {inputs} inputs");
}

fn try_input<I: Debug>(input: &I, check: &impl Fn(&I)) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(input))) {
        eprintln!("broken by {input:?}");
        std::panic::resume_unwind(panic);
    }
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|it| it.expect("a folder entry").path()).collect();
    paths.sort();
    paths.iter().map(|it| std::fs::read(it).expect("an input is read")).collect()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
