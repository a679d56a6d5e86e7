//! One path for each file.
//!
//! Some systems tell `A` from `a` and some do not; here they are always one. Of the files that have
//! one path the first keeps it, unless another file needs it as a folder. Each other one gets the
//! least number before its extension that makes a path nobody has: `a.txt`, `a.1.txt`, `a.2.txt`.
//! Padding files are never written and take no part.

use std::collections::BTreeSet;

use super::layout::File;
use super::path::numbered;

/// Gives every file a path that is neither another file's nor a folder of one.
pub(super) fn make_unique(files: &mut [File]) {
    let real = files.iter().enumerate().filter(|(_, file)| !file.padding);
    let mut sorted: Vec<_> = real.map(|(index, file)| (folded(&file.path), index)).collect();
    sorted.sort_unstable();
    let mut given = BTreeSet::new();
    for same in sorted.chunk_by(|a, b| a.0 == b.0) {
        let Some((path, _)) = same.first() else { continue };
        let kept = usize::from(!is_folder(&sorted, path));
        let mut number = 0;
        for &(_, index) in same.iter().skip(kept) {
            let Some(file) = files.get_mut(index) else { continue };
            let (folder, name) = file.path.split_at(file.path.rfind('/').map_or(0, |at| at + 1));
            // Ends: only so many paths are taken, and each number is tried once.
            file.path = loop {
                number += 1;
                let path = format!("{folder}{}", numbered(name, number));
                let key = folded(&path);
                if !is_file(&sorted, &key) && !is_folder(&sorted, &key) && given.insert(key) {
                    break path;
                }
            };
        }
    }
}

/// What is equal for paths that may be one on some system. What lies in a folder sorts right behind
/// the folder, because no path has a NUL.
fn folded(path: &str) -> String {
    path.chars().flat_map(char::to_lowercase).map(|c| if c == '/' { '\0' } else { c }).collect()
}

fn is_file(sorted: &[(String, usize)], path: &str) -> bool {
    sorted.binary_search_by(|(other, _)| other.as_str().cmp(path)).is_ok()
}

fn is_folder(sorted: &[(String, usize)], path: &str) -> bool {
    let inner = format!("{path}\0");
    let at = sorted.partition_point(|(other, _)| *other < inner);
    sorted.get(at).is_some_and(|(other, _)| other.starts_with(&inner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unique(paths: &[&str]) -> Vec<String> {
        let file = |path: &&str| File {
            path: (*path).to_owned(),
            len: 0,
            offset: 0,
            padding: path.ends_with('#'),
            executable: false,
        };
        let mut files: Vec<_> = paths.iter().map(file).collect();
        make_unique(&mut files);
        files.into_iter().map(|file| file.path).collect()
    }

    #[test]
    fn the_first_keeps_its_path() {
        assert_eq!(unique(&["t/a.x", "t/A.X", "t/b", "t/a.x"]), ["t/a.x", "t/A.1.X", "t/b", "t/a.2.x"]);
        assert_eq!(unique(&["t/É", "t/é", "t/é.1"]), ["t/É", "t/é.2", "t/é.1"]);
    }

    #[test]
    fn a_folder_goes_before_a_file() {
        assert_eq!(unique(&["t/a", "t/a/b", "t/a-"]), ["t/a.1", "t/a/b", "t/a-"]);
        assert_eq!(unique(&["t/a/b", "t/A", "t/a.1/c"]), ["t/a/b", "t/A.2", "t/a.1/c"]);
    }

    #[test]
    fn padding_files_may_be_alike() {
        assert_eq!(unique(&["t/0#", "t/0#"]), ["t/0#", "t/0#"]);
    }

    #[test]
    fn a_great_many_files_of_one_path_are_quick() {
        let paths = unique(&["t/same.name"; 20_000]);
        assert_eq!(paths[19_999], "t/same.19999.name");
    }

    proptest! {
        #[test]
        fn no_path_is_anothers_or_its_folder(paths in proptest::collection::vec(
            "t(/(a|A|b|a\\.1|a\\.2|1)){1,3}", 0..30,
        )) {
            let paths: Vec<_> = paths.iter().map(String::as_str).collect();
            let mut unique: Vec<_> = unique(&paths).iter().map(|path| folded(path)).collect();
            unique.sort();
            for pair in unique.windows(2) {
                prop_assert_ne!(&pair[0], &pair[1]);
                let inner = format!("{}\0", pair[0]);
                prop_assert!(!pair[1].starts_with(&inner), "{:?}", pair);
            }
        }
    }
}
