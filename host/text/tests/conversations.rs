//! Chat templates, and conversations of the library.

use accllm_compiler::{MemoryImage, ModelSpec, Program, Settings};
use accllm_device::GoldenDevice;
use accllm_hw::config::find;
use accllm_llm::model::LambdaShape;
use accllm_text::calibration::Calibration;
use accllm_text::chat::{Clock, Conversation, Template};
use accllm_text::generate::Stop;
use accllm_text::message::Message;
use accllm_text::model::TemplateFiles;
use accllm_text::model::{Ready, Source};
use accllm_text::runner::{DeviceRunner, Reference};
use accllm_text::session::{Answer, Options, Session};
use std::ops::ControlFlow;
use std::sync::LazyLock;

static READY: LazyLock<Ready> = LazyLock::new(|| {
    let source = Source::find("bundled").unwrap();
    Ready::open(&source, &Calibration::open(None).unwrap()).unwrap()
});

const CHATML: &str = "{% for message in messages %}
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}
{% if add_generation_prompt %}
{{ '<|im_start|>assistant\\n' }}{% endif %}
";

const HEADERS: &str = "{%- set loop_messages = messages %}
{%- for message in loop_messages %}
    {%- set content = '<|start|>' + message['role'] + '<|end|>\\n\\n' + message['content'] | trim + '<|eot|>' %}
    {%- if loop.index0 == 0 %}
        {%- set content = bos_token + content %}
    {%- endif %}
    {{- content }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start|>assistant<|end|>\\n\\n' }}
{%- endif %}";

const INSTRUCT: &str = "{% if messages[0]['role'] == 'system' %}{% set system = '<<' + messages[0]['content'] + '>> ' %}\
{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}{{ bos_token }}{% for message in messages %}\
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}\
{% if message['role'] == 'user' %}{{ '[INST] ' + (system if loop.first else '') + message['content'].strip() + ' [/INST]' }}\
{% else %}{{ ' ' + message['content'].strip() + eos_token }}{% endif %}{% endfor %}";

fn template(source: &str) -> accllm_device::Result<Template> {
    let files = TemplateFiles::default().with_template(source.into(), "test.jinja".into());
    Template::from_files(&files, "x", Clock::at("2026-07-14")?)
}

fn messages(list: &[(&str, &str)]) -> Vec<Message> {
    list.iter().map(|(role, content)| Message::new(role, content)).collect()
}

#[test]
fn templates_as_models_have_them() {
    let said = messages(&[("system", "Be kind"), ("user", " Hi "), ("assistant", " Oh\n"), ("user", "So")]);
    let chatml = "<|im_start|>system\nBe kind<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n<|im_start|>assistant\n Oh\n\
                  <|im_end|>\n<|im_start|>user\nSo<|im_end|>\n<|im_start|>assistant\n";
    let headers = "<s><|start|>system<|end|>\n\nBe kind<|eot|><|start|>user<|end|>\n\nHi<|eot|><|start|>assistant<|end|>\n\nOh<|eot|>\
                   <|start|>user<|end|>\n\nSo<|eot|><|start|>assistant<|end|>\n\n";
    let instruct = "<s>[INST] <<Be kind>> Hi [/INST] Oh</s>[INST] So [/INST]";
    let config = r#"{"bos_token": "<s>", "eos_token": {"content": "</s>", "special": true}}"#;
    for (source, want) in [(CHATML, chatml), (HEADERS, headers), (INSTRUCT, instruct)] {
        let files = TemplateFiles { config: Some(config.into()), jinja: Some(source.into()), file: None };
        assert_eq!(Template::from_files(&files, "x", Clock::default()).unwrap().render(&said).unwrap(), want);
    }
    // None: lines; the tokenizer adds the begin token, and only once.
    let plain = Template::of(&READY).unwrap();
    assert_eq!(plain.render(&said).unwrap(), "Be kind\n Hi \n Oh\n\nSo");
    assert_eq!(plain.encode("Once", &READY).unwrap(), READY.prompt("Once").unwrap());
    assert_eq!(
        template("{{ bos_token }}<s>Once").unwrap().encode("<s>Once", &READY).unwrap(),
        READY.prompt("Once").unwrap()
    );
}

#[test]
fn where_templates_come_from() {
    let of = |config: &str, jinja: Option<&str>| {
        let files = TemplateFiles { config: Some(config.into()), jinja: jinja.map(Into::into), file: None };
        Template::from_files(&files, "x", Clock::default())
            .and_then(|t| t.render(&messages(&[("user", "Q")])))
            .map_err(|e| e.to_string())
    };
    assert_eq!(of(r#"{"chat_template": "A{{ messages[0].content }}"}"#, None).unwrap(), "AQ");
    assert_eq!(of(r#"{"chat_template": "A"}"#, Some("B")).unwrap(), "B");
    let named =
        r#"{"chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]}"#;
    assert_eq!(of(named, None).unwrap(), "D");
    assert_eq!(of("{}", None).unwrap(), "Q");
    let tools = r#"{"chat_template": [{"name": "tool_use", "template": "T"}]}"#;
    assert!(of(tools, None).unwrap_err().contains("--chat-template"));
    assert!(of("{\"chat_template\": 5}", None).unwrap_err().contains("tokenizer_config.json of x"));
    assert!(of("not json", None).unwrap_err().contains("tokenizer_config.json of x"));
}

#[test]
fn broken_templates_are_refused_with_place_and_reason() {
    for (source, words) in [
        ("{% for m in messages %}\n{{ m.content }}", &["test.jinja is broken", "line 2"][..]),
        ("{{ messages | no_such_filter }}", &["no_such_filter"]),
        ("{{ raise_exception('only on Sundays') }}", &["refuses", "only on Sundays"]),
        ("{{ messages[0].content.no_method() }}", &["no_method"]),
        ("{{ strftime_now('%Q') }}", &["%Q", "format"]),
        ("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", &["fuel"]),
        ("{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}", &["recursion"]),
    ] {
        let e = template(source).unwrap_err().to_string();
        assert!(words.iter().all(|w| e.contains(w)), "{source}: {e}");
    }
    let empty = template("").unwrap();
    assert!(empty.encode("", &READY).unwrap_err().to_string().contains("makes no text"));
}

const LAMBDA: LambdaShape = LambdaShape { n_sink: 4, n_window: 40 };

fn integer() -> Session<'static> {
    Session::new(&READY, Box::new(Reference::new(&READY.model, LAMBDA).unwrap()))
}

fn golden() -> Session<'static> {
    let settings = Settings::new(LAMBDA.n_sink, LAMBDA.n_window);
    let program = Program::compile(&ModelSpec::from(&READY.model), find("tiny").unwrap(), &settings).unwrap();
    let image = MemoryImage::new(&program, &READY.model).unwrap();
    let device = GoldenDevice::new(&program, &image).unwrap();
    Session::new(&READY, Box::new(DeviceRunner::new(&program, device)))
}

fn ask(chat: &mut Conversation<'_>, question: &str) -> Answer {
    let options = Options { ignore_end: true, ..Options::new(12) };
    chat.ask(question, &options, &mut |_| Ok(ControlFlow::Continue(()))).unwrap()
}

/// Far beyond the window, a turn costs its own tokens and at most its answer once more.
#[test]
fn only_what_is_new_is_computed() {
    for source in [CHATML, HEADERS, INSTRUCT] {
        let mut chat = Conversation::new(golden(), template(source).unwrap(), Some("Tell stories"));
        for i in 0..6 {
            let answer = ask(&mut chat, &format!("And then {i}"));
            assert_eq!(answer.stop, Stop::Length);
            let session = chat.session();
            let work = session.runner().work().unwrap();
            let (all, once) = (work[0].tokens + work[1].tokens, session.tokens().len() as u64 - 1);
            assert!(all <= once + 12 * (i + 1), "{all} tokens were computed for a text of {once}");
        }
        assert!(chat.session().tokens().len() > 100);
        assert_eq!(chat.messages().len(), 13);
    }
}

/// What is in the session is what the tokenizer makes of the whole text, as it is when a server gets all messages.
#[test]
fn turns_have_the_tokens_of_the_whole_text() {
    let wide = LambdaShape { n_sink: 4, n_window: 1000 };
    for source in [CHATML, HEADERS, INSTRUCT] {
        let engine = Reference::new(&READY.model, wide).unwrap();
        let template = template(source).unwrap();
        let mut chat =
            Conversation::new(Session::new(&READY, Box::new(engine)), self::template(source).unwrap(), None);
        for i in 0..4 {
            let answer = ask(&mut chat, &format!(" What then, {i}? "));
            let (_, asked) = chat.messages().split_last().unwrap();
            let text = template.encode(&template.render(asked).unwrap(), &READY).unwrap();
            assert_eq!(chat.session().tokens(), [text, answer.tokens].concat());
        }
    }
}

#[test]
fn a_saved_conversation_goes_on_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.session");
    let mut one = Conversation::new(integer(), template(HEADERS).unwrap(), Some("Tell stories"));
    let mut two = Conversation::new(golden(), template(HEADERS).unwrap(), None);
    ask(&mut two, "Something else");
    (0..3).for_each(|i| drop(ask(&mut one, &format!("And {i}"))));
    one.save(&path).unwrap();
    two.load(&path).unwrap();
    assert_eq!(two.messages(), one.messages());
    assert_eq!(ask(&mut one, "The end"), ask(&mut two, "The end"));
    assert_eq!(two.session().tokens(), one.session().tokens());
    // Started again, it knows nothing.
    two.reset().unwrap();
    one.reset().unwrap();
    assert_eq!((one.messages().len(), two.messages().len()), (1, 0));
    let mut fresh = Conversation::new(integer(), template(HEADERS).unwrap(), None);
    assert_eq!(ask(&mut two, "Hello"), ask(&mut fresh, "Hello"));
    // A text is no conversation.
    let mut text = integer();
    text.push_text("Once").unwrap();
    text.generate(&Options::new(2), &mut |_| Ok(ControlFlow::Continue(()))).unwrap();
    text.save(&path).unwrap();
    assert!(two.load(&path).unwrap_err().to_string().contains("no conversation"));
    // But a conversation is a text.
    one.save(&path).unwrap();
    assert!(text.load(&path).unwrap().is_some());
}

/// A question that failed is not part of the conversation, and the next one does not see it.
#[test]
fn refused_questions_leave_nothing() {
    let alternating = template(INSTRUCT).unwrap();
    let mut chat = Conversation::new(integer(), alternating, None);
    ask(&mut chat, "One");
    let e = chat.ask("Two", &Options { ignore_end: true, ..Options::new(5) }, &mut |_| {
        Err(accllm_device::Error::Fault("gone".into()))
    });
    assert_eq!((e.unwrap_err().to_string().as_str(), chat.messages().len()), ("gone", 2));
    let again = ask(&mut chat, "Three");
    let mut same = Conversation::new(integer(), template(INSTRUCT).unwrap(), None);
    ask(&mut same, "One");
    assert_eq!(again, ask(&mut same, "Three"));
}

/// As transformers renders them.
#[test]
fn templates() {
    let render = |source: &str, content: &str| {
        let said = messages(&[("user", "Q"), ("assistant", content), ("user", content)]);
        template(source).and_then(|t| t.render(&said)).map_err(|e| e.to_string())
    };
    let all = "{% for m in messages %}";
    for (source, want) in [
        ("{{ m.content | tojson }}", r#""Q""a <b> 'é'""a <b> 'é'""#),
        ("{{ '%s|' % m.content }}", "Q|a <b> 'é'|a <b> 'é'|"),
        ("{{ '%s: %5.1f%%;' % (m.role, loop.index) }}", "user:   1.0%;assistant:   2.0%;user:   3.0%;"),
        ("{{ loop.index % 2 }}", "101"),
        (
            "{% if m.role == 'assistant' %}{% generation %}<{{ m.content }}>{% endgeneration %}{% else %}{{ m.role }}{% endif %}",
            "user<a <b> 'é'>user",
        ),
        ("{% if loop.first %}{{ strftime_now('%d %b %Y') }}{% endif %}", "14 Jul 2026"),
        ("{% if loop.first %}{{ tools is none and documents is none }}{% endif %}", "True"),
    ] {
        assert_eq!(render(&format!("{all}{source}{{% endfor %}}"), "a <b> 'é'").unwrap(), want, "{source}");
    }
    assert_eq!(render("{{ messages[0] | tojson }}", "x").unwrap(), r#"{"role": "user", "content": "Q"}"#);
    let value = "{'b': [1, 2.5, none, true], 'a': {}, 'é': 'x\n'}";
    for (call, want) in [
        ("tojson", r#"{"b": [1, 2.5, null, true], "a": {}, "é": "x\n"}"#),
        ("tojson(sort_keys=true)", r#"{"a": {}, "b": [1, 2.5, null, true], "é": "x\n"}"#),
        ("tojson(ensure_ascii=true)", r#"{"b": [1, 2.5, null, true], "a": {}, "\u00e9": "x\n"}"#),
        ("tojson(separators=(',', ':'))", r#"{"b":[1,2.5,null,true],"a":{},"é":"x\n"}"#),
    ] {
        assert_eq!(render(&format!("{{{{ {value} | {call} }}}}"), "x").unwrap(), want, "{call}");
    }
    let indented = "{\n  \"b\": [\n    1\n  ],\n  \"a\": {}\n}";
    assert_eq!(render("{{ {'b': [1], 'a': {}} | tojson(indent=2) }}", "x").unwrap(), indented);
    assert!(render("{{ 1 | tojson(default=2) }}", "x").unwrap_err().contains("default"));
    // Only a template that asks for the date has one.
    assert_eq!(template("{{ messages[0].content }}").unwrap().date(), None);
    assert_eq!(template("{{ strftime_now('%Y') }}").unwrap().date().as_deref(), Some("2026-07-14"));
    assert!(Clock::at("14.7.2026").is_err());
    let config = r#"{"pad_token": "<pad>", "additional_special_tokens": ["<x>"]}"#;
    let files = TemplateFiles {
        config: Some(config.into()),
        jinja: Some("{{ pad_token }}{{ additional_special_tokens[0] }}".into()),
        file: None,
    };
    assert_eq!(
        Template::from_files(&files, "x", Clock::default())
            .unwrap()
            .render(&messages(&[("user", "")]))
            .unwrap(),
        "<pad><x>"
    );
}
