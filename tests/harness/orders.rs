//! Orders in which things may come.

/// Every order of none, some and all of these, each at most once.
pub fn partial_orders<T: Clone + PartialEq>(of: &[T]) -> Vec<Vec<T>> {
    let mut all: Vec<Vec<T>> = vec![Vec::new()];
    let mut next = 0;
    while next < all.len() {
        let left = of.iter().filter(|one| !all[next].contains(*one));
        let longer: Vec<_> = left.map(|one| [all[next].clone(), vec![one.clone()]].concat()).collect();
        all.extend(longer);
        next += 1;
    }
    all
}
