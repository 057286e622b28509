//! Where the slot of a request is found: at the place its address falls on, without a look-up in a hash map, unless another
//! request that falls there was found since.
//!
//! A place is one word, read and written whole: the number of the slot below, and above as much of the address as tells requests
//! apart. So whoever reads it while another CPU writes finds the one or the other. Addresses are distances from something that
//! does not move ("at"), as the verifier lets nothing else be computed with them.

/// Places, as a power of two: 8 for each of the most requests a large host is sized for, of which few are in use at a time.
const PLACES_BITS: u32 = 16;
/// Places.
pub const PLACES: u32 = 1 << PLACES_BITS;

/// Of a slot's number in a place.
const NUMBER_BITS: u32 = 18;
/// Numbers a place can hold.
pub const NUMBERS: u32 = 1 << NUMBER_BITS;
/// Two `struct request` are never nearer than this: each is several times as large.
const APART_BITS: u32 = 6;

/// The place a request falls on: the upper bits of a product (Fibonacci hashing).
#[inline(always)]
#[must_use]
pub const fn of(at: u64) -> u32 {
    ((at >> APART_BITS).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - PLACES_BITS)) as u32
}

/// What is written at a place. Of the distance the upper 12 bits do not fit: the kernel's addresses have at most 52 that differ.
#[inline(always)]
#[must_use]
pub const fn word(at: u64, number: u32) -> u64 {
    ((at >> APART_BITS) << NUMBER_BITS) | number as u64
}

/// The number a place holds for a request; not below [`NUMBERS`] when it holds another's, or none.
#[inline(always)]
#[must_use]
pub const fn number(word: u64, at: u64) -> u64 {
    word ^ ((at >> APART_BITS) << NUMBER_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Before and behind what does not move, and two requests of one queue.
    const REQUESTS: [u64; 3] = [
        0x0000_36ff_0a53_0010,
        0x0000_36ff_0a53_0190,
        0xffff_c901_0a53_0190,
    ];

    #[test]
    fn a_place_tells_its_requests_number() {
        for request in REQUESTS {
            for there in [0, 1, NUMBERS - 1] {
                assert_eq!(number(word(request, there), request), u64::from(there));
            }
        }
    }

    #[test]
    fn a_place_tells_nothing_of_another_request() {
        for request in REQUESTS {
            assert!(number(0, request) >= NUMBERS.into(), "a place never used");
            for other in REQUESTS.into_iter().filter(|other| *other != request) {
                assert!(number(word(other, 7), request) >= NUMBERS.into());
            }
        }
    }

    #[test]
    fn requests_side_by_side_fall_on_places_apart() {
        let mut places: Vec<_> = (0..1024).map(|tag| of(REQUESTS[0] + tag * 384)).collect();
        places.sort_unstable();
        places.dedup();
        assert!(places.len() > 950, "{} of 1,024", places.len());
        assert!(places.iter().all(|place| *place < PLACES));
    }
}
