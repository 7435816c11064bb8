"""The example bots of python-telegram-bot's documentation, and the README's own, work under the runner."""

import re
from pathlib import Path

import msgspec
import pytest

PHOTO = {"file_id": "photo-1", "file_unique_id": "p1", "width": 90, "height": 90}


@pytest.fixture
def example(bot, sandbox):
    """Starts an example; what is asked of it is answered with one text."""

    def up(name):
        bot.app("telegram", f"ptb_examples:{name}").up()

        def ask(text):
            answers = sandbox.ask(bot.id, text, timeout=20)
            assert len(answers) == 1, answers
            return answers[0]["text"]

        return ask

    return up


@pytest.fixture
def later(bot, sandbox, eventually):
    """What the bot says of its own accord, once it says it."""

    def wait(text):
        return eventually(
            lambda: next((each for each in sandbox.answers(bot.id) if text in each["text"]), None), text
        )

    return wait


def test_the_bot_in_the_readme(bot, sandbox):
    readme = Path(__file__).parents[3] / "README.md"
    (sample,) = re.findall(r"^```python\n(.*?)^```$", readme.read_text(), re.MULTILINE | re.DOTALL)
    (bot.folder / "sample.py").write_text(sample)
    app = msgspec.structs.replace(bot.file.app, target="sample:build", search=(str(bot.folder),))
    bot.change(app=app).up()
    assert [answer["text"] for answer in sandbox.ask(bot.id, "hello")] == ["hello"]


def test_echobot(example):
    ask = example("echobot")
    assert ask("/start").startswith("Hi ")
    assert ask("/help") == "Help!"
    assert ask("hello") == "hello"


def test_timerbot(example, later):
    ask = example("timerbot")
    assert ask("/set") == "Usage: /set <seconds>"
    assert ask("/set 60") == "Timer successfully set!"
    assert ask("/set 1.5") == "Timer successfully set! Old one was removed."
    assert later("Beep! 1.5 seconds are over!")
    assert ask("/unset") == "You have no active timer."


def test_conversationbot(bot, sandbox, example, later):
    ask = example("conversationbot")
    assert ask("/start") == "Are you a boy or a girl?"
    assert ask("Other").startswith("I see!")
    sandbox.inject(bot.id, {"message": {"photo": [PHOTO]}})
    assert later("Gorgeous!")
    assert ask("I like tests").startswith("Thank you!")
    assert ask("/start") == "Are you a boy or a girl?"
    assert ask("/cancel").startswith("Bye!")


def test_inlinekeyboard(bot, sandbox, example):
    ask = example("inlinekeyboard")
    assert ask("/start") == "Please choose:"
    answers = sandbox.ask_by_button(bot.id, "Option 2")
    assert [each["text"] for each in answers if each["method"] == "editMessageText"] == ["Selected option: 2"]


def test_persistentconversationbot(bot, example):
    ask = example("persistentconversationbot")
    assert ask("/start").endswith("Tell me something.")
    assert ask("Colour").startswith("Your colour?")
    assert bot.stop() == 0
    bot.up()
    assert ask("blue") == "Neat!"
    assert bot.stop() == 0
    bot.up()
    assert ask("/show_data") == "This is what you already told me: colour - blue"
    assert ask("Age").startswith("Your age?"), "the conversation goes on where it was"


def test_errorhandlerbot(bot, example, eventually):
    ask = example("errorhandlerbot")
    assert "wrong_method_name" in ask("/bad_command")
    eventually(lambda: bot.ask("status")["errors"] == 1, "an error that is counted")


def test_jobqueue(bot, sandbox, example, later):
    example("jobqueue")
    sandbox.say(bot.id, "/begin")
    assert later("ticking")
    assert later("tick 3")
    assert bot.stop() == 0
