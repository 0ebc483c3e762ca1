//! Estimators against values that others computed: `anchors.json` and the data sets it
//! rests on, in the folder beside the project. A test says so aloud where it is absent.

#[cfg(test)]
mod anchors;
#[cfg(test)]
mod comparison;
#[cfg(test)]
mod forecast;
#[cfg(test)]
mod imputation;
#[cfg(test)]
mod measured;
#[cfg(test)]
mod occupancy;
#[cfg(test)]
mod proportion;
#[cfg(test)]
mod series;
#[cfg(test)]
mod survival;
#[cfg(test)]
mod unseen;
