//! Chat templates, and conversations of the library.

use accllm_compiler::{MemoryImage, ModelSpec, Program, Settings};
use accllm_device::GoldenDevice;
use accllm_hw::config::find;
use accllm_quant::model::LambdaShape;
use accllm_text::calibration::Calibration;
use accllm_text::chat::{Conversation, Template};
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
    Template::from_files(&TemplateFiles::default().with_template(source.into(), "test.jinja".into()), "x")
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
        assert_eq!(Template::from_files(&files, "x").unwrap().render(&said).unwrap(), want);
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
        Template::from_files(&files, "x")
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
        ("{{ strftime_now('%Y') }}", &["strftime_now"]),
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

#[test]
fn only_what_is_new_is_computed() {
    for source in [CHATML, HEADERS, INSTRUCT] {
        let mut chat = Conversation::new(golden(), template(source).unwrap(), Some("Tell stories"));
        for i in 0..6 {
            let answer = ask(&mut chat, &format!("And then {i}"));
            assert_eq!(answer.stop, Stop::Length);
            let session = chat.session();
            let work = session.runner().work().unwrap();
            // Every token once, far beyond the window; the last is not fed yet.
            assert_eq!(work[0].tokens + work[1].tokens, session.tokens().len() as u64 - 1);
            if source == CHATML {
                // This template trims nothing, so the text is exactly what it would make of the messages.
                let (_, before) = chat.messages().split_last().unwrap();
                let text = template(source).unwrap().render(before).unwrap() + &answer.text;
                assert_eq!(READY.tokenizer.decode(session.tokens()).unwrap(), text);
            }
        }
        assert!(chat.session().tokens().len() > 100);
        assert_eq!(chat.messages().len(), 13);
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

/// The tokenizer's end token ends answers even where the model's configuration does not know it.
#[test]
fn the_templates_end_token_ends_answers() {
    let mut session = integer();
    session.push_text("Once upon a time").unwrap();
    let all = session.generate(&Options::new(4), &mut |_| Ok(ControlFlow::Continue(()))).unwrap();
    let config = format!("{{\"eos_token\": {:?}}}", READY.tokenizer.decode(&all.tokens[2..3]).unwrap());
    let files = TemplateFiles { config: Some(config), ..TemplateFiles::default() };
    let mut chat = Conversation::new(integer(), Template::from_files(&files, "x").unwrap(), None);
    let answer = ask(&mut chat, "Once upon a time");
    assert_eq!((answer.tokens, answer.stop), (all.tokens[..2].to_vec(), Stop::End));
}
