import pytest
import torch

from vlogger.errors import UserError
from vlogger.speech import Espeak


def test_a_sentence_becomes_sound():
    audio = Espeak()("Good morning, everyone.")
    assert audio.sample_rate == 22050 and 0.8 < audio.duration < 4
    assert 0.1 < audio.samples.abs().max() <= 1


def test_the_same_text_sounds_the_same_and_a_longer_one_lasts_longer():
    voice = Espeak()
    assert torch.equal(voice("One two.").samples, voice("One two.").samples)
    assert voice("One two three four five six.").duration > voice("One two.").duration


def test_voices_and_speeds_differ():
    assert not torch.equal(Espeak("de")("Hallo").samples, Espeak("en-us")("Hallo").samples)
    slow, fast = Espeak(words_per_minute=100)("A few words."), Espeak(words_per_minute=250)("A few words.")
    assert slow.duration > 1.3 * fast.duration


def test_letters_beyond_ascii_are_spoken():
    assert Espeak("fr")("Déjà vu, c'est l'été.").duration > 0.5


@pytest.mark.parametrize("text, says", [("", "empty"), ("   ", "empty")])
def test_no_words_no_speech(text, says):
    with pytest.raises(UserError, match=says):
        Espeak()(text)


def test_an_unknown_voice_is_refused():
    with pytest.raises(UserError, match="no voice klingonish"):
        Espeak("klingonish")("Hello")
