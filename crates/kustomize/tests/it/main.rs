//! The engine from outside: recorded cases, speed of growth, hostile input.

mod cases;
mod hostile;
mod output;
mod remote;
