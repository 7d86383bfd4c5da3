//! What the values of a thread's renderings hold, in bytes: counted as they are made and dropped, so that a
//! rendering stops before it holds too much. Values never leave their thread, so a thread's count is enough.

use std::cell::Cell;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// What a string, a list or a map takes beside its content.
pub(crate) const BASE: usize = 64;
/// What a map takes for an entry beside the text of a new key.
pub(crate) const ENTRY: usize = 96;

/// Bytes held by the values of this thread.
pub(crate) fn held() -> usize {
    HELD.get()
}

/// Counts bytes that a value began to hold.
pub(crate) fn hold(bytes: usize) {
    HELD.set(HELD.get().wrapping_add(bytes));
}

/// Counts bytes that a dropped value no longer holds.
pub(crate) fn free(bytes: usize) {
    HELD.set(HELD.get().wrapping_sub(bytes));
}

#[cfg(test)]
mod tests {
    use super::held;
    use crate::value::{Map, Value};

    #[test]
    fn what_is_made_is_given_back() {
        let before = held();
        let map = Map::new();
        map.set("text", Value::str("x".repeat(1000)));
        map.set(
            "list",
            Value::list(vec![Value::list(vec![Value::str("y")]), Value::Map(map.clone())]),
        );
        map.set("text", Value::str("z".repeat(500)));
        assert!(held() > before + 500 && held() < before + 2000);
        map.remove("text");
        map.clear();
        let filled: Map = [("k".into(), Value::Map(Map::new()))].into_iter().collect();
        drop((map, filled));
        assert_eq!(held(), before);
    }
}
