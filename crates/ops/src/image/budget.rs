//! How many layers an image may have, and which packages share one where there are more packages than that.
//!
//! The rule is in `docs/layers.md`. It looks at names, sizes and the DAG alone, so that the same packages always share the
//! same layers, and a new version of one of them changes one shared layer.

use crate::error::Error;
use crate::image::ImageError;
use std::collections::BTreeMap;
use strata_oci::Digest;

/// The most layers that an image can have: Docker registers no more ("max depth exceeded"), for a container puts two of its
/// own on top, and overlay file systems took 127 when that was decided.
pub(crate) const MOST: usize = 125;

/// How many layers may share what has none of its own, where there is room for that many.
const SHARED: usize = 8;

/// A budget below this one has a single shared layer.
const ROOMY: usize = 32;

/// How many layers may be put on top of a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many.
    pub layers: usize,
    /// Whether the user said so: then a base that leaves less room is an error, and not a smaller budget.
    pub explicit: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self { layers: 100, explicit: false }
    }
}

impl Budget {
    /// How many layers there may be for `packages` packages, beside those of a base and `others` of ours. `own_last`: the
    /// last package keeps a layer of its own.
    ///
    /// # Errors
    /// If the user wants more than the base leaves room for, or if they cannot be packed into so few.
    pub(crate) fn for_packages(
        self,
        packages: usize,
        own_last: bool,
        base: usize,
        others: usize,
    ) -> Result<usize, Error> {
        let room = MOST.saturating_sub(base);
        let least = others + packages.min(1 + usize::from(own_last));
        let wanted = self.layers.min(packages + others);
        if wanted > room && self.explicit {
            return Err(Error::Image(ImageError::NoRoomForLayers { base, wanted, room }));
        }
        if room < least {
            return Err(Error::Image(ImageError::NoRoomForLayers { base, wanted: least, room }));
        }
        let layers = self.layers.min(room);
        if layers < least {
            Err(Error::Image(ImageError::TooFewLayers { budget: layers, least }))
        } else {
            Ok(layers - others)
        }
    }
}

/// A package, as far as packing looks at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    /// Its name, which decides what it shares a layer with.
    pub(crate) name: &'a str,
    /// Its DAG hash, which decides between packages of one name.
    pub(crate) hash: &'a str,
    /// Size of its layer in bytes.
    pub(crate) size: u64,
    /// How many packages of the image need it, itself included.
    pub(crate) dependents: usize,
}

/// Which packages make which layer, in the order of layers: the rule of `docs/layers.md`. `own_last`: the last candidate
/// keeps a layer of its own, and that is last.
///
/// # Errors
/// If the budget cannot hold them however they are packed: with the least that can.
pub(crate) fn pack(
    candidates: &[Candidate<'_>],
    own_last: bool,
    budget: usize,
) -> Result<Vec<Vec<usize>>, Error> {
    let count = candidates.len();
    if count <= budget {
        return Ok((0..count).map(|at| vec![at]).collect());
    }
    let least = 1 + usize::from(own_last);
    if budget < least {
        return Err(Error::Image(ImageError::TooFewLayers { budget, least }));
    }
    let shared = if budget < ROOMY { 1 } else { SHARED };
    let mut own = vec![false; count];
    let mut ranked: Vec<usize> = (0..count).collect();
    ranked.sort_by_key(|&at| {
        let Candidate { name, hash, size, dependents } = candidates[at];
        let weight = u128::from(size) * dependents as u128;
        (!(own_last && at + 1 == count), std::cmp::Reverse(weight), name, hash)
    });
    ranked.iter().take(budget - shared).for_each(|&at| own[at] = true);

    let mut buckets: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
    for at in (0..count).filter(|&at| !own[at]) {
        let bucket = Digest::of(candidates[at].name.as_bytes()).as_bytes()[0] % shared as u8;
        buckets.entry(bucket).or_default().push(at);
    }
    // What is alone in a bucket shares nothing: its layer is its own, and is where it would have been.
    for alone in buckets.values().filter(|members| members.len() == 1) {
        own[alone[0]] = true;
    }
    let mut layers: Vec<Vec<usize>> = buckets.into_values().filter(|members| members.len() > 1).collect();
    // However the dependencies were ordered, the same packages make the same layer.
    for members in &mut layers {
        members.sort_by_key(|&at| (candidates[at].name, candidates[at].hash));
    }
    layers.extend((0..count).filter(|&at| own[at]).map(|at| vec![at]));
    Ok(layers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[derive(Clone, Debug)]
    struct Package {
        name: String,
        hash: String,
        size: u64,
        dependents: usize,
    }

    fn candidates(packages: &[Package]) -> Vec<Candidate<'_>> {
        let of = |p: &'_ Package| (p.size, p.dependents);
        packages
            .iter()
            .map(|p| Candidate { name: &p.name, hash: &p.hash, size: of(p).0, dependents: of(p).1 })
            .collect()
    }

    /// The hashes in each layer.
    fn packed(packages: &[Package], own_last: bool, budget: usize) -> Result<Vec<Vec<String>>, Error> {
        let layers = pack(&candidates(packages), own_last, budget)?;
        let hashes = |layer: Vec<usize>| layer.into_iter().map(|at| packages[at].hash.clone()).collect();
        Ok(layers.into_iter().map(hashes).collect())
    }

    fn packages() -> impl Strategy<Value = Vec<Package>> {
        prop::collection::btree_map("[a-z]{1,3}", (0..5000_u64, 1..9_usize, 1..3_usize), 1..150).prop_map(
            |of| {
                let several = of.into_iter().flat_map(|(name, (size, dependents, versions))| {
                    (0..versions).map(move |version| Package {
                        hash: format!("{name}{version}"),
                        name: name.clone(),
                        size,
                        dependents,
                    })
                });
                several.collect()
            },
        )
    }

    proptest! {
        #[test]
        fn every_package_is_in_one_layer_and_the_budget_holds(
            packages in packages(),
            budget in 2..127_usize,
            own_last: bool,
        ) {
            let layers = packed(&packages, own_last, budget).unwrap();
            prop_assert!(layers.len() <= budget, "{} of {budget}", layers.len());
            prop_assert!(layers.iter().all(|layer| !layer.is_empty()));
            let all: Vec<&String> = layers.iter().flatten().collect();
            let each: BTreeSet<&String> = all.iter().copied().collect();
            prop_assert_eq!(all.len(), packages.len());
            prop_assert_eq!(each.len(), packages.len());
            if own_last {
                prop_assert_eq!(&layers[layers.len() - 1], &vec![packages[packages.len() - 1].hash.clone()]);
            }
            // Layers of one package come after the shared ones, dependencies first.
            let own: Vec<&String> = layers.iter().skip_while(|l| l.len() > 1).flatten().collect();
            prop_assert!(layers.iter().skip_while(|l| l.len() > 1).all(|l| l.len() == 1));
            let place = |hash: &String| packages.iter().position(|p| p.hash == *hash);
            prop_assert!(own.windows(2).all(|pair| place(pair[0]) < place(pair[1])));
        }

        #[test]
        fn the_order_of_packages_decides_nothing_but_the_order_of_layers(
            (packages, shuffled) in packages().prop_flat_map(|p| (Just(p.clone()), Just(p).prop_shuffle())),
            budget in 1..127_usize,
        ) {
            let sets = |packages: &[Package]| {
                packed(packages, false, budget).unwrap().into_iter().collect::<BTreeSet<_>>()
            };
            prop_assert_eq!(sets(&packages), sets(&shuffled));
        }

        #[test]
        fn a_new_version_changes_one_layer(packages in packages(), which: prop::sample::Index, budget in 1..127_usize) {
            let mut newer = packages.clone();
            let changed = which.index(packages.len());
            // Of several packages of one name, the hash says which is ranked first.
            newer[changed].hash.push('n');
            let before: BTreeSet<_> = packed(&packages, false, budget).unwrap().into_iter().collect();
            let after: BTreeSet<_> = packed(&newer, false, budget).unwrap().into_iter().collect();
            prop_assert_eq!(before.difference(&after).count(), 1);
            prop_assert_eq!(after.difference(&before).count(), 1);
        }
    }

    #[test]
    fn big_and_shared_packages_keep_their_own() {
        let package = |name: &str, size, dependents| Package {
            name: name.to_owned(),
            hash: format!("{name}-hash"),
            size,
            dependents,
        };
        let packages = [
            package("small", 10, 1),
            package("shared", 10, 90),
            package("tiny", 1, 2),
            package("big", 1000, 1),
            package("root", 1, 1),
        ];
        let layers = packed(&packages, true, 4).unwrap();
        assert_eq!(
            layers,
            [vec!["small-hash", "tiny-hash"], vec!["shared-hash"], vec!["big-hash"], vec!["root-hash"]]
        );
        assert_eq!(packed(&packages, true, 5).unwrap().len(), 5);
        assert_eq!(packed(&packages, false, 1).unwrap().len(), 1);
        let refused = packed(&packages, true, 1).unwrap_err();
        assert!(
            matches!(refused, Error::Image(ImageError::TooFewLayers { budget: 1, least: 2 })),
            "{refused}"
        );
        assert!(packed(&packages[..1], true, 1).is_ok() && packed(&packages, false, 0).is_err());
    }

    #[test]
    fn a_base_takes_its_layers_off() {
        let default = Budget::default();
        let asked = |layers| Budget { layers, explicit: true };
        assert_eq!(default.for_packages(300, true, 1, 0).unwrap(), 100);
        assert_eq!(default.for_packages(300, false, 40, 1).unwrap(), 84);
        assert_eq!(asked(100).for_packages(10, true, 40, 0).unwrap(), 85);
        assert!(matches!(
            asked(100).for_packages(300, true, 40, 0).unwrap_err(),
            Error::Image(ImageError::NoRoomForLayers { base: 40, wanted: 100, room: 85 })
        ));
        assert!(default.for_packages(1, true, 125, 0).is_err());
        assert!(default.for_packages(1, false, 124, 1).is_err());
        assert!(asked(1).for_packages(1, false, 0, 1).is_err());
        assert!(asked(0).for_packages(1, false, 0, 0).is_err());
        // Where it is the base that takes the room, more layers are no way out.
        assert!(matches!(
            default.for_packages(9, true, 124, 0).unwrap_err(),
            Error::Image(ImageError::NoRoomForLayers { base: 124, wanted: 2, room: 1 })
        ));
        assert!(matches!(
            asked(1).for_packages(9, true, 0, 0).unwrap_err(),
            Error::Image(ImageError::TooFewLayers { budget: 1, least: 2 })
        ));
        assert_eq!(asked(1).for_packages(1, true, 0, 0).unwrap(), 1);
        assert_eq!(asked(1).for_packages(9, false, 0, 0).unwrap(), 1);
        assert_eq!(default.for_packages(0, true, 125, 0).unwrap(), 0);
    }
}
