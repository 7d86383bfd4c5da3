//! A memo gives what a build from nothing gives, whatever changed in between.

use borax_kustomize::{Memo, Options, build};

use crate::random::{change, files, tree};

#[test]
fn a_memo_gives_what_a_build_from_nothing_gives() {
    let options = Options::default();
    let (mut built, mut failed) = (0, 0);
    for seed in 0..150 {
        let mut tree = tree(seed);
        let mut memo = Memo::default();
        for step in 0..6 {
            let files = files(&tree);
            let again = memo.build(&files, "/t/top", &options);
            let anew = build(&files, "/t/top", &options);
            match (&again, &anew) {
                (Ok(_), Ok(_)) => built += 1,
                _ => failed += 1,
            }
            assert_eq!(again, anew, "seed {seed}, step {step}: {tree:#?}");
            change(&mut tree, seed * 100 + step);
        }
    }
    // Neither sort of outcome may be all there is.
    assert!(built > 150 && failed > 100, "{built} built, {failed} failed");
}
