//! Says loudly that a test did not run, in a form the test command can count.
//!
//! Owns the one line format and the switch that turns a skip into a failure. Refuses to know why
//! anything is missing: callers say so.

use std::io::Write as _;

/// Every skip line starts with this; `cargo xtask test` counts such lines.
pub const MARK: &str = "SKIPPED ";

/// Set (to anything but `0`) to make every skip a failure, as continuous integration does.
pub const FORBID: &str = "BORAX_NO_SKIP";

/// Reports that the running test leaves something out because of `why` (one line of plain text that
/// names what is missing and how to get it).
///
/// The line goes to the process's real standard error: the test harness captures only what the
/// print macros write, and a captured skip is a silent one.
///
/// # Panics
/// When [`FORBID`] is set.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("?");
    let forbidden = std::env::var_os(FORBID).is_some_and(|v| v != "0");
    assert!(!forbidden, "{test} may not be skipped here ({FORBID} is set): {why}");
    // Nothing can be done for a closed standard error.
    let _ = writeln!(std::io::stderr().lock(), "{MARK}{test}: {why}");
}
