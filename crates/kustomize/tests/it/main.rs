//! The engine from outside: recorded cases, speed of growth, hostile input.

mod agreement;
mod cases;
mod hostile;
mod memo;
mod output;
mod random;
mod remote;
