//! ONNX: protobuf messages of `onnx.proto` (IR version 10 and earlier).

mod functions;
mod graph;
mod operators;
pub mod schema;
mod shapes;
mod tensors;
mod texts;
mod trees;
mod walk;

pub use graph::{Beside, graph, graph_with, names};
pub use tensors::tensors;
pub use trees::trees;
pub use walk::{External, Onnx, analyse};

use mantlet_vocab::Source;

use crate::proto::varint;
use crate::window::Window;

/// Whether the top-level fields are those of a `ModelProto` with a graph.
#[must_use]
pub fn is_onnx(source: &dyn Source) -> bool {
    let mut window = Window::new(source, 0);
    let (mut version, mut graph) = (false, false);
    for _ in 0..4_096 {
        if window.rest() == 0 {
            return version && graph;
        }
        let Some(key) = varint(&mut window) else { return false };
        let fits = match (key >> 3, key & 7) {
            (1 | 5, 0) => varint(&mut window).is_some(),
            (2 | 3 | 4 | 6 | 7 | 8 | 14 | 20 | 25 | 26, 2) => {
                varint(&mut window).is_some_and(|len| {
                    graph |= key >> 3 == 7;
                    // A graph that runs past the end is still an ONNX file, only cut.
                    window.skip(len)
                        || (version && key >> 3 == 7 && {
                            window.seek(u64::MAX);
                            true
                        })
                })
            }
            _ => false,
        };
        version |= key == 8;
        if !fits {
            return false;
        }
    }
    false
}
