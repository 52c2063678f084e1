//! The whole program over a site: which events occur, in which order, and what handlers can do.

mod clouds;
mod cuts;
mod cycle;
mod kills;
mod place;
mod receivers;
mod vetoes;
