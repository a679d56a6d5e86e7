//! Other numbers, in the same order.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::rng::Rng;

/// Numbers by chance for these, in the same order and within `room`, as long as there is room for all.
pub(super) fn spread(numbers: &BTreeSet<u128>, room: Range<u128>, rng: &mut Rng) -> Vec<(u128, u128)> {
    let len = room.end.saturating_sub(room.start);
    let step = (len / (numbers.len() as u128).max(1)).max(1);
    let other = |(number, index): (&u128, u128)| {
        let chance = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
        (*number, room.start + index * step + chance % step)
    };
    numbers.iter().zip(0..).map(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_keep_their_order_and_their_room() {
        let numbers: BTreeSet<u128> = (0..7).map(|number| (number * number) << 90).collect();
        let rooms = [3..10, 1 << 95..1 << 96];
        for room in rooms {
            let spread = spread(&numbers, room.clone(), &mut Rng::new(1));
            assert!(spread.iter().map(|(number, _)| number).eq(&numbers));
            assert!(spread.iter().all(|(_, to)| room.contains(to)), "{spread:?}");
            assert!(spread.is_sorted_by(|(_, a), (_, b)| a < b), "{spread:?}");
        }
        let once = |seed| spread(&numbers, 0..1 << 96, &mut Rng::new(seed));
        assert_ne!(once(1), once(2));
    }
}
