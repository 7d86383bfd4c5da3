//! Storage for the cells of a tree: pages that a build and a [`Memo`](crate::Memo) share until one of
//! them is written to.
//!
//! An index stays valid from build to build, so what one build made can be put into the next one's
//! arena without touching a cell.

use std::sync::Arc;

use crate::tree::Cell;

const BITS: u32 = 6;
const SIZE: usize = 1 << BITS;

/// A run of cells.
pub(crate) type Page = Arc<Vec<Cell>>;

/// Cells by index.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    pages: Vec<Page>,
    /// Where the next cell goes.
    next: u32,
}

/// The page that a cell is on.
pub(crate) fn page_of(index: u32) -> u32 {
    index >> BITS
}

impl Arena {
    /// An arena whose first cells go to the page `first`; those before it may be put in.
    pub(crate) fn starting_at(first: u32) -> Arena {
        Arena { pages: vec![Page::default(); first as usize], next: first << BITS }
    }

    pub(crate) fn push(&mut self, cell: Cell) -> u32 {
        let index = self.next;
        let page = page_of(index) as usize;
        if page == self.pages.len() {
            self.pages.push(Arc::new(Vec::with_capacity(SIZE)));
        }
        Arc::make_mut(&mut self.pages[page]).push(cell);
        self.next += 1;
        index
    }

    pub(crate) fn get(&self, index: u32) -> &Cell {
        &self.pages[page_of(index) as usize][index as usize % SIZE]
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> &mut Cell {
        let page = &mut self.pages[page_of(index) as usize];
        &mut Arc::make_mut(page)[index as usize % SIZE]
    }

    /// Begins a new page, so that what comes now shares none with what was before.
    pub(crate) fn begin_page(&mut self) -> u32 {
        self.next = (self.pages.len() as u32) << BITS;
        page_of(self.next)
    }

    pub(crate) fn pages(&self) -> &[Page] {
        &self.pages
    }

    /// Puts back a page of an earlier build.
    pub(crate) fn put(&mut self, page: u32, cells: &Page) {
        self.pages[page as usize] = Arc::clone(cells);
    }
}
