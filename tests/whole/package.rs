//! The Vitis package agrees with the RTL: names, widths and offsets, and the wrapper computes what the engine computes.

use accllm_compiler::Step;
use accllm_compiler::synthetic::Synthetic;
use accllm_device::{Device as _, GoldenDevice, MemoryKind};
use accllm_hw::config::{CONFIGS, find};
use accllm_hw::kernel::{Kernel, SLAVE, vitis};
use accllm_hw::regs;
use accllm_sim::memory::{AxiPorts, MemoryModel, Store};
use accllm_sim::verilate::{Model, OptLevel, SimError, VerilateSpec};
use accllm_sim::xrt::Window;
use accllm_tests::Compiled;
use roxmltree::Document;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn file(kernel: &Kernel, name: &str) -> String {
    let files = vitis::files(kernel);
    files.into_iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no {name} in the package")).1
}

/// The wrapper of `tiny` in Verilator.
fn wrapper() -> Result<Model, Box<dyn std::error::Error>> {
    let kernel = Kernel::new(find("tiny")?);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("package");
    std::fs::create_dir_all(&folder)?;
    let top = folder.join("accllm_tiny.sv");
    std::fs::write(&top, file(&kernel, "accllm_tiny.sv"))?;
    let rtl = root().join("hw/rtl");
    let list = std::fs::read_to_string(rtl.join("files.f"))?;
    let files = list.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let sources = ["lint.vlt"].into_iter().chain(files).map(|f| rtl.join(f)).chain([top]);
    Ok(VerilateSpec::new("accllm_tiny", sources).clock("ap_clk").opt(OptLevel::Fast).build()?)
}

/// Ports of a wrapper's text: name, output, bits.
fn ports(text: &str) -> BTreeMap<String, (bool, u32)> {
    let head = text.split(");").next().unwrap();
    let line = |l: &str| {
        let l = l.trim().trim_end_matches(',');
        let (direction, rest) = l.split_once("logic")?;
        let (range, name) = match rest.trim().split_once(']') {
            Some((range, name)) => (Some(range.trim_start_matches('[')), name),
            None => (None, rest),
        };
        let top = range.map_or(0, |r| r.split(':').next().unwrap().trim().parse().unwrap());
        Some((name.trim().to_owned(), (direction.trim() == "output", top + 1u32)))
    };
    head.lines().filter_map(line).collect()
}

/// Every AXI port of the RTL is in the XML with its width, and nothing else.
#[test]
fn the_xml_has_the_ports_of_the_rtl() -> Outcome {
    for config in CONFIGS.iter() {
        let kernel = Kernel::new(config);
        let rtl = ports(&file(&kernel, &format!("{}.sv", kernel.name)));
        let text = file(&kernel, "kernel.xml");
        let xml = Document::parse(&text)?;
        let mut found = BTreeSet::new();
        for port in xml.descendants().filter(|n| n.has_tag_name("port")) {
            let name = port.attribute("name").ok_or("no name")?;
            let master = port.attribute("mode") == Some("master");
            let bits: u32 = port.attribute("dataWidth").ok_or("no width")?.parse()?;
            assert_eq!(rtl.get(&format!("{name}_wdata")), Some(&(master, bits)), "{name}");
            assert_eq!(rtl.get(&format!("{name}_rdata")), Some(&(!master, bits)), "{name}");
            assert_eq!(rtl.get(&format!("{name}_araddr")).map(|p| p.0), Some(master), "{name}");
            let range = port.attribute("range").ok_or("no range")?;
            let bits = if master { 64 } else { u64::from_str_radix(&range[2..], 16)?.ilog2() };
            for signal in ["araddr", "awaddr"] {
                assert_eq!(rtl.get(&format!("{name}_{signal}")).map(|p| p.1), Some(bits), "{name}");
            }
            found.insert(name.to_owned());
        }
        let axi: BTreeSet<_> =
            rtl.keys().filter_map(|n| n.strip_suffix("_araddr")).map(ToOwned::to_owned).collect();
        assert_eq!(found, axi, "{}", kernel.name);
        let names: BTreeSet<_> =
            kernel.masters.iter().map(|m| m.name.clone()).chain([SLAVE.into()]).collect();
        assert_eq!(found, names);
        for arg in xml.descendants().filter(|n| n.has_tag_name("arg")) {
            assert!(found.contains(arg.attribute("port").unwrap_or_default()), "{arg:?}");
        }
    }
    Ok(())
}

/// What Verilator makes of the wrapper has the ports that its text declares.
#[test]
fn the_wrapper_in_verilator_has_those_ports() -> Outcome {
    let kernel = Kernel::new(find("tiny")?);
    let text = ports(&file(&kernel, "accllm_tiny.sv"));
    let model = wrapper()?;
    // Verilator decorates names that C++ programs use.
    let built: BTreeMap<_, _> = model
        .ports()
        .iter()
        .map(|p| (if p.name.ends_with("interrupt") { "interrupt" } else { &p.name }.to_owned(), p.bits))
        .collect();
    let declared: BTreeMap<_, _> = text.into_iter().map(|(n, (_, bits))| (n, bits)).collect();
    assert_eq!(built, declared);
    Ok(())
}

/// The registers of a card, through the wrapper.
struct Card {
    model: Model,
    ports: Vec<AxiPorts>,
    memories: Vec<Box<dyn MemoryModel>>,
}

impl Card {
    fn new(mut model: Model, memories: Vec<Box<dyn MemoryModel>>) -> Result<Self, SimError> {
        let kernel = Kernel::new(find("tiny").unwrap());
        let resolve = |name: &String| AxiPorts::resolve(&model, &format!("{name}_"), 1);
        let ports = kernel.masters.iter().map(|m| resolve(&m.name)).collect::<Result<_, _>>()?;
        for (name, value) in [("bready", 1), ("rready", 1), ("wstrb", 15)] {
            let port = model.port(&format!("{SLAVE}_{name}"))?;
            model.set_u64(port, value);
        }
        let reset = model.port("ap_rst_n")?;
        model.set_u64(reset, 0);
        model.cycles(4)?;
        model.set_u64(reset, 1);
        let mut card = Self { model, ports, memories };
        card.clock()?;
        Ok(card)
    }

    fn clock(&mut self) -> Result<(), SimError> {
        self.model.fall()?;
        for (port, memory) in self.ports.iter().zip(&mut self.memories) {
            port.sample(&self.model, std::slice::from_mut(memory));
        }
        self.model.rise()?;
        for (port, memory) in self.ports.iter().zip(&self.memories) {
            port.drive(&mut self.model, std::slice::from_ref(memory));
        }
        Ok(())
    }

    fn signal(&mut self, name: &str, value: u64) -> Result<(), SimError> {
        let port = self.model.port(&format!("{SLAVE}_{name}"))?;
        self.model.set_u64(port, value);
        Ok(())
    }

    fn wait(&mut self, ready: &str) -> Outcome {
        let port = self.model.port(&format!("{SLAVE}_{ready}"))?;
        for _ in 0..64 {
            self.model.fall()?;
            if self.model.get_u64(port) != 0 {
                return Ok(());
            }
            self.clock()?;
        }
        Err(format!("no {ready}").into())
    }

    fn write(&mut self, offset: u32, value: u32) -> Outcome {
        self.signal("awaddr", offset.into())?;
        self.signal("wdata", value.into())?;
        self.signal("awvalid", 1)?;
        self.signal("wvalid", 1)?;
        self.wait("awready")?;
        self.clock()?;
        self.signal("awvalid", 0)?;
        self.signal("wvalid", 0)?;
        self.wait("bvalid")?;
        Ok(self.clock()?)
    }

    fn read(&mut self, offset: u32) -> Result<u32, Box<dyn std::error::Error>> {
        self.signal("araddr", offset.into())?;
        self.signal("arvalid", 1)?;
        self.wait("arready")?;
        self.clock()?;
        self.signal("arvalid", 0)?;
        self.wait("rvalid")?;
        let port = self.model.port(&format!("{SLAVE}_rdata"))?;
        let value = self.model.get_u64(port) as u32;
        self.clock()?;
        Ok(value)
    }
}

/// Writes and reads every word of the arguments that the XML names; their offsets by name.
fn written_words(kernel: &Kernel, card: &mut Card) -> Outcome<BTreeMap<String, u32>> {
    let text = file(kernel, "kernel.xml");
    let xml = Document::parse(&text)?;
    let hex = |node: roxmltree::Node<'_, '_>, name: &str| {
        u32::from_str_radix(&node.attribute(name).unwrap_or_default()[2..], 16)
    };
    let mut offsets = BTreeMap::new();
    let mut words = BTreeMap::new();
    for arg in xml.descendants().filter(|n| n.has_tag_name("arg")) {
        let (offset, size) = (hex(arg, "offset")?, hex(arg, "size")?);
        offsets.insert(arg.attribute("name").ok_or("no name")?.to_owned(), offset);
        for word in (offset..offset + size).step_by(4) {
            assert!(words.insert(word, word.wrapping_mul(0x9e37_79b9)).is_none(), "{word:#x} twice");
        }
    }
    for (word, value) in &words {
        card.write(*word, *value)?;
    }
    for (word, value) in &words {
        assert_eq!(card.read(*word)?, *value, "argument word {word:#x}");
    }
    Ok(offsets)
}

/// Limits of the program, and where its buffers are.
fn set_up(kernel: &Kernel, compiled: &Compiled, offsets: &BTreeMap<String, u32>, card: &mut Card) -> Outcome {
    let l = &compiled.program.layout;
    let at = |name: &str| offsets[name];
    for (name, value) in [
        ("program_addr", l.aux.program),
        ("program_len", compiled.program.code.len()),
        ("channel_limit", l.kv.end),
        ("write_low", l.kv.start),
        ("write_high", l.kv.end),
        ("aux_limit", l.aux.end),
        ("aux_write_low", l.aux.logits),
        ("aux_write_high", l.aux.end),
        ("watchdog", 0),
    ] {
        card.write(at(name), value as u32)?;
    }
    for (i, master) in kernel.masters.iter().enumerate() {
        let offset = kernel.args[kernel.pointer(i).ok_or("no pointer")?].offset;
        let base = master.memory.base();
        card.write(offset, base as u32)?;
        card.write(offset + 4, (base >> 32) as u32)?;
    }
    Ok(())
}

/// Arguments are where the XML says, and a token through the wrapper, from buffers at the card's addresses, is the
/// golden executor's.
#[test]
fn arguments_and_a_token_through_the_wrapper() -> Outcome {
    let model = Synthetic::default().build();
    let compiled = Compiled::new(&model, find("tiny")?, 4, 24);
    let kernel = Kernel::new(find("tiny")?);
    let images = compiled.image.channels.iter().chain([&compiled.image.aux]);
    let memories = kernel.masters.iter().zip(images).map(|(master, bytes)| {
        let inner = MemoryKind::Ideal.model(Store::shared(bytes.clone())?, 0, false, 225)?;
        Ok(Box::new(Window::new(inner, master.memory.base())) as Box<dyn MemoryModel>)
    });
    let mut card = Card::new(wrapper()?, memories.collect::<accllm_device::Result<_>>()?)?;

    let offsets = written_words(&kernel, &mut card)?;
    set_up(&kernel, &compiled, &offsets, &mut card)?;
    let l = &compiled.program.layout;
    let args = l.args(Step { position: 0, tokens: 1, head: true })?;
    for (i, value) in args.iter().enumerate() {
        card.write(offsets[&format!("arg_{}", i + 1)], *value)?;
    }
    let io = l.io_block(0, &[5])?;
    let ids = (l.aux.ids * 64) as u64;
    card.memories[2].store_mut().write(ids, &io)?;
    card.write(regs::CTRL, 1)?;
    let mut polls = 0;
    while card.read(regs::CTRL)? & 2 == 0 {
        polls += 1;
        assert!(polls < 100_000, "the run does not end");
        (0..32).try_for_each(|_| card.clock())?;
    }
    let mut golden = GoldenDevice::new(&compiled.program, &compiled.image)?;
    golden.write_aux(l.aux.ids, &io)?;
    let want = golden.run(args)?;
    assert_eq!(card.read(regs::STATUS)?, 0);
    assert_eq!(
        (card.read(regs::RESULT_INDEX)?, card.read(regs::RESULT_VALUE)? as i32),
        (want.token, want.logit)
    );
    let mut logits = (vec![0; 4 * l.shape.sizes.vocab], vec![0; 4 * l.shape.sizes.vocab]);
    card.memories[2].store().read((l.aux.logits * 64) as u64, &mut logits.0)?;
    golden.read_aux(l.aux.logits, &mut logits.1)?;
    assert!(logits.0 == logits.1 && logits.0.iter().any(|b| *b != 0));
    for memory in &card.memories {
        assert!(memory.violations().is_empty(), "{:?}", memory.violations().first());
    }
    Ok(())
}

/// What the packaging scripts do, by running them with stand-ins for Vivado's commands.
#[test]
fn the_scripts_package_the_ports_and_registers_of_the_rtl() -> Outcome {
    let Ok(version) = Command::new("tclsh").arg("/dev/null").output() else {
        let _ = writeln!(std::io::stderr(), "skipped: tclsh is not here (Debian: tcl)");
        return Ok(());
    };
    assert!(version.status.success());
    for config in CONFIGS.iter() {
        let kernel = Kernel::new(config);
        let folder = tempfile::tempdir()?;
        // The place of hw/vitis/CONFIG, beside a link to the RTL.
        let here = folder.path().join("hw/vitis").join(config.name);
        std::fs::create_dir_all(&here)?;
        std::os::unix::fs::symlink(root().join("hw/rtl").canonicalize()?, folder.path().join("hw/rtl"))?;
        for (name, text) in vitis::files(&kernel) {
            std::fs::write(here.join(name), text)?;
        }
        // Commands that Tcl does not know are printed, and return a name for what they make.
        let stand_in = "rename source tcl_source\n\
            proc source {args} { uplevel 1 [list tcl_source [lindex $args end]] }\n\
            proc unknown {args} { puts $args; return [lindex $args 0]:[lindex $args end-1] }\n\
            set argv [list k.xo work]\nset argc 2\nsource gen_xo.tcl\n";
        std::fs::write(here.join("try.tcl"), stand_in)?;
        let ran = Command::new("tclsh").arg("try.tcl").current_dir(&here).output()?;
        let out = String::from_utf8(ran.stdout)?;
        assert!(ran.status.success(), "{}{out}", String::from_utf8_lossy(&ran.stderr));
        calls(&kernel, &out)?;
        for line in std::fs::read_to_string(root().join("hw/rtl/files.f"))?.lines() {
            assert!(out.contains(&format!("hw/rtl/{line}")), "{line} is not packaged");
        }
    }
    Ok(())
}

/// Checks the calls of the packaging scripts.
fn calls(kernel: &Kernel, out: &str) -> Outcome {
    let (mut busifs, mut registers) = (BTreeSet::new(), BTreeMap::new());
    let mut register = String::new();
    for line in out.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["ipx::associate_bus_interfaces", "-busif", name, "-clock", "ap_clk", _] => {
                busifs.insert(name.to_owned());
            }
            ["ipx::add_register", "-quiet", name, _] => register = name.to_owned(),
            ["set_property", "address_offset", value, _] => {
                let offset = u32::from_str_radix(value.trim_start_matches("0x"), 16)?;
                registers.entry(register.clone()).or_insert((0, 0, None)).0 = offset;
            }
            ["set_property", "size", value, _] => {
                registers.entry(register.clone()).or_insert((0, 0, None)).1 = value.parse::<u32>()?;
            }
            ["set_property", "value", value, object] if object.starts_with("ipx::add_register_parameter") => {
                registers.entry(register.clone()).or_insert((0, 0, None)).2 = Some(value.to_owned());
            }
            _ => {}
        }
    }
    let rtl = ports(&file(kernel, &format!("{}.sv", kernel.name)));
    let axi: BTreeSet<_> =
        rtl.keys().filter_map(|n| n.strip_suffix("_araddr")).map(ToOwned::to_owned).collect();
    assert_eq!(busifs, axi, "{}", kernel.name);
    let mut want: BTreeMap<_, _> = [("CTRL", 0), ("GIER", 4), ("IP_IER", 8), ("IP_ISR", 12)]
        .into_iter()
        .map(|(n, offset)| (n.to_owned(), (offset, 32, None)))
        .collect();
    let text = file(kernel, "kernel.xml");
    let xml = Document::parse(&text)?;
    for arg in xml.descendants().filter(|n| n.has_tag_name("arg")) {
        let hex = |name| u32::from_str_radix(&arg.attribute(name).unwrap_or_default()[2..], 16);
        let port = arg.attribute("port").ok_or("no port")?;
        let master = (port != SLAVE).then(|| port.to_owned());
        want.insert(
            arg.attribute("name").ok_or("no name")?.to_owned(),
            (hex("offset")?, 8 * hex("size")?, master),
        );
    }
    assert_eq!(registers, want, "{}", kernel.name);
    for words in [
        "sdx_kernel true",
        "ctrl_protocol ap_ctrl_hs",
        &format!("-kernel_name {}", kernel.name),
        "ipx::save_core",
    ] {
        assert!(out.contains(words), "{words}");
    }
    assert!(out.contains(&format!("set_property top {}", kernel.name)));
    Ok(())
}

/// Every master is linked to a memory of its own, at the configuration's clock.
#[test]
fn the_link_configuration_names_every_port() {
    for config in CONFIGS.iter() {
        let kernel = Kernel::new(config);
        let text = file(&kernel, "link.cfg");
        let instance = kernel.instance();
        assert!(text.contains(&format!("nk={}:1:{instance}\n", kernel.name)));
        assert!(text.contains(&format!("freqHz={}000000:{instance}\n", config.mhz)));
        let links: BTreeMap<_, _> =
            text.lines().filter_map(|l| l.strip_prefix("sp=")).filter_map(|l| l.split_once(':')).collect();
        let memories: BTreeSet<_> = links.values().collect();
        assert_eq!((links.len(), memories.len()), (config.channels + 1, config.channels + 1));
        let rtl = ports(&file(&kernel, &format!("{}.sv", kernel.name)));
        for port in rtl.keys().filter_map(|n| n.strip_suffix("_awaddr")).filter(|n| *n != SLAVE) {
            assert!(links.contains_key(format!("{instance}.{port}").as_str()), "{port}");
        }
    }
}
