//! A figure as PNG, drawn with the embedded face and no other.
//!
//! **Invariant:** the same SVG gives the same bytes on every machine: no system font is
//! read.

use std::sync::Arc;

use crate::face;
use resvg::{tiny_skia, usvg};

/// Pixels per unit of the drawing: sharp on screens of twice the usual density.
const SCALE: f32 = 2.0;

/// Why a figure could not be drawn as PNG.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// The SVG is not one that can be drawn.
    #[error("the SVG cannot be read")]
    Parse(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The drawing has no area, or more than fits into memory.
    #[error("the drawing has a size that cannot be drawn")]
    Size,
    /// The pixels could not be written as PNG.
    #[error("the PNG cannot be encoded")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Draws SVG to PNG; the same face is kept for all figures of a report.
pub(crate) struct Painter {
    options: usvg::Options<'static>,
}

impl Painter {
    pub(crate) fn new() -> Self {
        let mut fonts = usvg::fontdb::Database::new();
        fonts.load_font_data(face::REGULAR.to_vec());
        fonts.load_font_data(face::BOLD.to_vec());
        fonts.set_sans_serif_family("Public Sans");
        let options = usvg::Options {
            font_family: "Public Sans".to_owned(),
            fontdb: Arc::new(fonts),
            ..usvg::Options::default()
        };
        Self { options }
    }

    /// The PNG of a drawing, or why it cannot be drawn.
    pub(crate) fn paint(&self, svg: &str) -> Result<Vec<u8>, DrawError> {
        let tree = usvg::Tree::from_str(svg, &self.options)
            .map_err(|e| DrawError::Parse(Box::new(e)))?;
        let size = tree.size().to_int_size().scale_by(SCALE).ok_or(DrawError::Size)?;
        let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height())
            .ok_or(DrawError::Size)?;
        let scale = tiny_skia::Transform::from_scale(SCALE, SCALE);
        resvg::render(&tree, scale, &mut pixels.as_mut());
        pixels.encode_png().map_err(|e| DrawError::Encode(Box::new(e)))
    }
}
