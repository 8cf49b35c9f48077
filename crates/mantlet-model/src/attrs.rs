//! Attributes of a node by name.

use mantlet_formats::onnx::schema::{AttributeProto, NodeProto, TensorProto};

use crate::run::Fail;

/// The attributes of one node.
#[derive(Clone, Copy)]
pub(crate) struct Attrs<'a> {
    /// The node.
    pub(crate) node: &'a NodeProto,
    /// The version of the operator set it belongs to.
    pub(crate) opset: i64,
}

impl<'a> Attrs<'a> {
    fn find(self, name: &str) -> Option<&'a AttributeProto> {
        self.node.attribute.iter().find(|attribute| attribute.name == name)
    }

    pub(crate) fn has(self, name: &str) -> bool {
        self.find(name).is_some()
    }

    pub(crate) fn int(self, name: &str, default: i64) -> i64 {
        self.find(name).map_or(default, |attribute| attribute.i.unwrap_or(0))
    }

    pub(crate) fn flag(self, name: &str) -> bool {
        self.int(name, 0) != 0
    }

    pub(crate) fn float(self, name: &str, default: f32) -> f32 {
        self.find(name).map_or(default, |attribute| attribute.f.unwrap_or(0.0))
    }

    pub(crate) fn ints(self, name: &str) -> Option<&'a [i64]> {
        self.find(name).map(|attribute| attribute.ints.as_slice())
    }

    pub(crate) fn floats(self, name: &str) -> Option<&'a [f32]> {
        self.find(name).map(|attribute| attribute.floats.as_slice())
    }

    pub(crate) fn text(self, name: &str) -> Option<String> {
        let bytes = self.find(name)?.s.as_deref().unwrap_or_default();
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    pub(crate) fn texts(self, name: &str) -> Option<Vec<String>> {
        let strings = &self.find(name)?.strings;
        Some(strings.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect())
    }

    pub(crate) fn tensor(self, name: &str) -> Option<&'a TensorProto> {
        self.find(name)?.t.as_ref()
    }

    /// Whole numbers that count something: strides, kernels, pads.
    pub(crate) fn sizes(self, name: &str) -> Result<Option<Vec<usize>>, Fail> {
        /// Larger windows, strides and paddings than this do not occur, and would only make sums overflow.
        const MOST: i64 = 1 << 24;
        let Some(ints) = self.ints(name) else { return Ok(None) };
        ints.iter()
            .map(|&value| usize::try_from(value).ok().filter(|_| value <= MOST))
            .collect::<Option<Vec<usize>>>()
            .map(Some)
            .ok_or_else(|| Fail::Bad(format!("attribute `{name}` is out of range: {ints:?}")))
    }

    /// Whether output `index` is used.
    pub(crate) fn gives(self, index: usize) -> bool {
        self.node.output.get(index).is_some_and(|name| !name.is_empty())
    }
}
