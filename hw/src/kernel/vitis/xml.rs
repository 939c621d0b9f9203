//! `kernel.xml`, and the same element inside an xclbin.

use super::super::{Kernel, PROTOCOL, SLAVE, SLAVE_RANGE};
use super::{text, version};
use std::fmt::Write as _;

/// The `<kernel>` element. `instances` are elements for its end, with the indent of the others.
pub fn kernel_element(kernel: &Kernel, instances: &str) -> String {
    let grouped = instances.is_empty();
    let indent = if grouped { "      " } else { "    " };
    text(|s| {
        writeln!(
            s,
            r#"  <kernel name="{}" language="ip" type="pl" vlnv="accllm:RTLKernel:{}:{}" workGroupSize="1" interrupt="true" hwControlProtocol="{PROTOCOL}">"#,
            kernel.name,
            kernel.name,
            version()
        )?;
        if grouped {
            writeln!(s, "    <ports>")?;
        }
        for m in &kernel.masters {
            writeln!(
                s,
                r#"{indent}<port name="{}" mode="master" range="0xFFFFFFFFFFFFFFFF" dataWidth="{}" portType="addressable" base="0x0"/>"#,
                m.name,
                kernel.data_bits()
            )?;
        }
        writeln!(
            s,
            r#"{indent}<port name="{SLAVE}" mode="slave" range="{SLAVE_RANGE:#x}" dataWidth="32" portType="addressable" base="0x0"/>"#
        )?;
        if grouped {
            writeln!(s, "    </ports>\n    <args>")?;
        }
        for (id, a) in kernel.args.iter().enumerate() {
            let master = a.master.and_then(|m| kernel.masters.get(m));
            let (qualifier, port, kind) = match master {
                Some(m) => (1, m.name.as_str(), "void*"),
                None => (0, SLAVE, "uint"),
            };
            writeln!(
                s,
                r#"{indent}<arg name="{}" addressQualifier="{qualifier}" id="{id}" port="{port}" size="{:#x}" offset="{:#x}" hostOffset="0x0" hostSize="{:#x}" type="{kind}"/>"#,
                a.name, a.bytes, a.offset, a.bytes
            )?;
        }
        if grouped {
            writeln!(s, "    </args>")?;
        }
        writeln!(s, "{instances}  </kernel>")
    })
}

pub(super) fn file(kernel: &Kernel) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- {} -->\n<root versionMajor=\"1\" versionMinor=\"6\">\n{}</root>\n",
        crate::NOTE,
        kernel_element(kernel, "")
    )
}
