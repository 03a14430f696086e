//! Values at small stable indices.

/// A list whose freed places are used again, so that indices stay dense.
#[derive(Clone, Debug)]
pub struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// Stores a value and tells its index.
    pub fn insert(&mut self, value: T) -> u32 {
        if let Some(index) = self.free.pop() {
            self.places[index as usize] = Some(value);
            return index;
        }
        self.places.push(Some(value));
        u32::try_from(self.places.len() - 1).expect("fewer than four thousand million entries")
    }

    /// The value at an index.
    pub fn get(&self, index: u32) -> Option<&T> {
        self.places.get(index as usize)?.as_ref()
    }

    /// The value at an index that is known to be in use.
    pub fn at(&self, index: u32) -> &T {
        self.get(index).expect("an index in use has a value")
    }

    /// The value at an index that is known to be in use, to change it.
    pub fn at_mut(&mut self, index: u32) -> &mut T {
        self.places[index as usize]
            .as_mut()
            .expect("an index in use has a value")
    }

    /// Takes the value out and frees its index.
    pub fn remove(&mut self, index: u32) -> Option<T> {
        let value = self.places.get_mut(index as usize)?.take();
        if value.is_some() {
            self.free.push(index);
        }
        value
    }

    /// All values with their index, by index.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let places = (0_u32..).zip(&self.places);
        places.filter_map(|(index, value)| Some((index, value.as_ref()?)))
    }

    /// All values with their index, by index, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        let places = (0_u32..).zip(&mut self.places);
        places.filter_map(|(index, value)| Some((index, value.as_mut()?)))
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}
