//! Other peer ids for those in a recording: of the same clients, and in the same order.
//!
//! Of two connections between the same two sessions the one that stays is chosen by the order of their ids.

use std::collections::{BTreeMap, BTreeSet};

use super::spread::spread;
use crate::id::PeerId;
use crate::rng::Rng;

type Id = [u8; 20];

/// What is put in the place of what.
#[derive(Debug)]
pub(super) struct Ids {
    /// Ours, and what it is now.
    own: (Id, Id),
    seen: BTreeSet<Id>,
    /// Once all have been seen.
    renamed: Option<BTreeMap<Id, Id>>,
}

impl Ids {
    pub(super) fn new(own: (PeerId, PeerId)) -> Self {
        let own = (*own.0.as_bytes(), *own.1.as_bytes());
        Self { own, seen: BTreeSet::from([own.0]), renamed: None }
    }

    /// What stands for `id`. Itself, as long as others may be seen.
    pub(super) fn rename(&mut self, id: Id) -> Id {
        match &self.renamed {
            Some(renamed) => renamed.get(&id).copied().unwrap_or(id),
            None => {
                self.seen.insert(id);
                id
            }
        }
    }

    /// All have been seen.
    pub(super) fn settle(&mut self, rng: &mut Rng) {
        let mut by_client: BTreeMap<&[u8], BTreeSet<u128>> = BTreeMap::new();
        for id in &self.seen {
            let (client, number) = parts(id);
            by_client.entry(client).or_default().insert(number);
        }
        let (own_client, own) = parts(&self.own.0);
        let new_own = parts(&self.own.1).1;
        let mut renamed = BTreeMap::from([self.own]);
        for (client, mut numbers) in by_client {
            let mut put = |numbers: &BTreeSet<u128>, room| {
                let others = spread(numbers, room, rng).into_iter();
                renamed.extend(others.map(|(number, other)| (whole(client, number), whole(client, other))));
            };
            if client == own_client {
                let mut above = numbers.split_off(&own);
                above.remove(&own);
                put(&above, new_own + 1..NUMBER_END);
                put(&numbers, 0..new_own);
            } else {
                put(&numbers, 0..NUMBER_END);
            }
        }
        self.renamed = Some(renamed);
    }
}

/// How many bytes of an id its number has.
const NUMBER_LEN: usize = 12;
const NUMBER_END: u128 = 1 << (8 * NUMBER_LEN);

/// What tells the client, and the number behind it. Where nobody says what an id tells, its first bytes are
/// taken for it.
fn parts(id: &Id) -> (&[u8], u128) {
    let (client, rest) = id.split_at(8);
    (client, rest.iter().fold(0, |number, byte| number << 8 | u128::from(*byte)))
}

fn whole(client: &[u8], number: u128) -> Id {
    let mut id = [0; 20];
    id.iter_mut().zip(client).for_each(|(to, from)| *to = *from);
    let bytes = number.to_be_bytes();
    id.iter_mut().rev().zip(bytes.iter().rev()).take(NUMBER_LEN).for_each(|(to, from)| *to = *from);
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn they_are_of_the_same_clients_and_in_the_same_order(
            ids in prop::collection::vec((prop::sample::select(vec![*b"-PL0100-", *b"-TR3000-", *b"M7-9-2--"]), any::<[u8; 12]>()), 1..40),
            own: [u8; 12],
        ) {
            let id = |client: [u8; 8], rest: [u8; 12]| -> Id { [&client[..], &rest].concat().try_into().unwrap() };
            let own = (id(*b"-PL0100-", own), id(*b"-PL0100-", *b"mmmmmmmmmmmm"));
            let mut map = Ids::new((PeerId::new(own.0), PeerId::new(own.1)));
            let mut ids: Vec<Id> = ids.into_iter().map(|(client, rest)| id(client, rest)).collect();
            ids.push(own.0);
            ids.iter().for_each(|id| assert_eq!(map.rename(*id), *id));
            map.settle(&mut Rng::new(1));
            let renamed: Vec<Id> = ids.iter().map(|id| map.rename(*id)).collect();
            prop_assert_eq!(renamed.last(), Some(&own.1));
            for (a, to_a) in ids.iter().zip(&renamed) {
                prop_assert_eq!(&a[..8], &to_a[..8]);
                for (b, to_b) in ids.iter().zip(&renamed) {
                    prop_assert_eq!(a.cmp(b), to_a.cmp(to_b));
                }
            }
        }
    }
}
