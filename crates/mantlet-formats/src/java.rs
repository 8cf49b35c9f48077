//! Serialised Java objects: which classes a stream names.
//!
//! `ObjectInputStream.readObject` builds whatever the stream names and runs what these classes do on the way.
//! The classes of the known chains (ysoserial) have no business in a model. Everything else depends on the
//! application, so a stream without them is not called examined.

use mantlet_vocab::Source;

use crate::pass::pass;
use crate::structure::{Power, Structure};

/// Magic and version of the stream protocol.
const MAGIC: &[u8] = &[0xac, 0xed, 0, 5];

/// Classes, and packages with a dot at their end, that known chains are made of.
const CHAINS: [&str; 30] = [
    "org.apache.commons.collections.functors.",
    "org.apache.commons.collections4.functors.",
    "org.apache.commons.collections.keyvalue.TiedMapEntry",
    "org.apache.commons.collections4.keyvalue.TiedMapEntry",
    "org.apache.commons.collections.map.LazyMap",
    "org.apache.commons.collections4.map.LazyMap",
    "org.apache.commons.collections4.comparators.TransformingComparator",
    "org.apache.commons.beanutils.BeanComparator",
    "org.apache.commons.fileupload.disk.DiskFileItem",
    "org.codehaus.groovy.runtime.ConvertedClosure",
    "org.codehaus.groovy.runtime.MethodClosure",
    "org.springframework.beans.factory.ObjectFactory",
    "org.springframework.core.SerializableTypeWrapper$MethodInvokeTypeProvider",
    "com.sun.org.apache.xalan.internal.xsltc.trax.TemplatesImpl",
    "org.apache.xalan.xsltc.trax.TemplatesImpl",
    "javax.management.BadAttributeValueExpException",
    "sun.reflect.annotation.AnnotationInvocationHandler",
    "com.sun.rowset.JdbcRowSetImpl",
    "java.rmi.server.RemoteObjectInvocationHandler",
    "java.rmi.server.UnicastRemoteObject",
    "java.net.URL",
    "java.lang.ProcessBuilder",
    "java.lang.Runtime",
    "bsh.Interpreter",
    "bsh.XThis",
    "clojure.lang.",
    "org.python.core.PyFunction",
    "org.mozilla.javascript.NativeJavaObject",
    "com.mchange.v2.c3p0.",
    "org.hibernate.engine.spi.TypedValue",
];

/// Whether a class is one that known chains are made of.
pub(crate) fn is_chain(class: &str) -> bool {
    CHAINS.iter().any(|known| class == *known || known.ends_with('.') && class.starts_with(known))
}

/// Whether the bytes begin like a stream of Java objects.
#[must_use]
pub fn is_java(head: &[u8]) -> bool {
    head.starts_with(MAGIC) && matches!(head.get(4), Some(0x70..=0x7e))
}

/// The classes of a stream.
#[must_use]
pub fn analyse(source: &dyn Source) -> Structure {
    let mut facts = Structure::of("Java objects");
    facts.limit("what a stream of Java objects builds depends on the application that reads it");
    let read = pass(source, 256 << 20, |step| {
        let (bytes, new) = step.around();
        let base = step.offset() - new.start as u64;
        // TC_CLASSDESC, the length of the name, the name.
        for at in memchr::memchr_iter(b'r', &bytes[new.clone()]).map(|at| new.start + at) {
            if let Some(name) = class(&bytes[at + 1..])
                && CHAINS
                    .iter()
                    .any(|chain| name == *chain || chain.ends_with('.') && name.starts_with(chain))
            {
                facts.names(Power::Class, "class", name, base + at as u64);
            }
        }
    });
    if read.is_err() || source.len() > 256 << 20 {
        facts.limit("it is not read to its end");
    }
    facts
}

fn class(bytes: &[u8]) -> Option<&str> {
    let len = usize::from(u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?));
    if !(5..=200).contains(&len) {
        return None;
    }
    let name = std::str::from_utf8(bytes.get(2..2 + len)?).ok()?;
    name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '$')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    fn stream(class: &str) -> Structure {
        let len = u16::try_from(class.len()).unwrap().to_be_bytes();
        let bytes = [MAGIC, b"sr", &len, class.as_bytes(), &[0; 8], b"\x02\0\0xp"].concat();
        assert!(is_java(&bytes));
        analyse(&MemorySource::new(&bytes))
    }

    #[test]
    fn chains_are_named_and_other_classes_are_left_open() {
        let found = stream("org.apache.commons.collections.functors.InvokerTransformer");
        assert_eq!(found.code.len(), 1);
        let found = stream("weka.classifiers.trees.J48");
        assert_eq!((found.code.len(), found.limits.len()), (0, 1));
        assert_eq!(stream("java.net.URLish").code.len(), 0);
    }
}
