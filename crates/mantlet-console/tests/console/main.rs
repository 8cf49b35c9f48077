//! The console holds its promises over HTTP and in a real browser.

mod browser;
mod driver;
mod pages;
mod web;
mod world;
