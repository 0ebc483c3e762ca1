//! A small world, written, read back with a general reader and counted again.

#[cfg(test)]
mod calibration;
#[cfg(test)]
mod exports;
#[cfg(test)]
mod files;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod score;
#[cfg(test)]
mod worlds;
