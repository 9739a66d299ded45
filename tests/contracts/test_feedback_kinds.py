"""What every kind of feedback promises, through its page; a new line in KINDS is new rows here."""

import re
import uuid
from collections import Counter

import pytest
from django.core.management import call_command
from django.urls import reverse

from preferences.feedback import kinds
from preferences.feedback.kinds import ANSWERS, KIND_OF, KINDS, LABELS, WORDS, GoodBad, OfTiles, OfTwo
from preferences.models import OptimizerState, Rating, Session
from preferences.sessions import counts, training
from tests.contracts.asked import PICTURES, Asked, drawn
from tests.drawing import draw_batch
from tests.factories import start_form

pytestmark = pytest.mark.django_db

CHOICES = {name: kind for name, kind in KINDS.items() if kind.is_choice}
SAID = {f"{name}-{button.word}": (kind, button.word) for name, kind in KINDS.items() for button in kind.buttons}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
each_choice = pytest.mark.parametrize("kind", CHOICES.values(), ids=CHOICES)
each_word = pytest.mark.parametrize(("kind", "word"), SAID.values(), ids=SAID)


def assert_only(asked: Asked, word: str, number: int = 0) -> None:
    """This word is all that was ever said, to the table, the counts and the learner alike."""
    about = asked.about(word, number)
    event = asked.event(word)
    assert asked.stored()[-1] == (event, about)
    assert asked.counts() == asked.expected_counts(word)
    is_heard = event not in asked.kind.unheard
    votes = {n: value for n, value in about.items() if value and is_heard}
    assert asked.heard() == (set(about) if is_heard else set(), votes)


def assert_nothing(asked: Asked) -> None:
    assert asked.stored() == []
    assert asked.counts() == (0, 0, 0)
    assert asked.heard() == (set(), {})


def test_no_two_kinds_share_a_name_a_word_or_an_event():
    every = [button.word for kind in KINDS.values() for button in kind.buttons]
    assert sorted([*WORDS, *ANSWERS]) == sorted(every)
    assert "none" not in every
    assert len(KIND_OF) == sum(len(kind.events) for kind in KINDS.values())
    assert all(name == kind.name for name, kind in KINDS.items())


@each_kind
def test_it_fits_its_columns_and_has_a_text_for_all_that_is_shown(kind):
    assert len(kind.name) <= Session._meta.get_field("asking").max_length
    assert all(len(event) <= Rating._meta.get_field("kind").max_length for event in kind.events)
    assert kind.label
    assert all(kind.events.values())
    assert set(kind.unheard) < set(kind.events)
    assert kind.buttons
    assert all(button.word and button.label and button.key for button in kind.buttons)
    assert len({button.name or button.label for button in kind.buttons}) == len(kind.buttons)
    if isinstance(kind, OfTwo):
        for side, button in enumerate(kind.sides):
            _, *values = kind.answers[button.word]
            assert values[side] > values[1 - side]
        return
    toned = {button: kind.value(button.word) for button in kind.buttons if button.tone}
    assert all(button.tone == ("good" if value > 0 else "bad") for button, value in toned.items())
    assert bool(kind.page) == bool(kind.invitation) == isinstance(kind, OfTwo)


@each_kind
def test_its_keys_are_its_own(kind):
    """Arrows walk through tiles; beside a pair there is a key that takes back."""
    keys = [button.key for button in kind.buttons]
    assert len(set(keys)) == len(keys)
    assert "u" not in keys
    assert isinstance(kind, OfTwo) or not {key for key in keys if key.startswith("Arrow")}


@each_kind
def test_forms_and_the_admin_call_it_by_its_label(client, kind):
    asked = drawn(client, kind)
    start, page = (client.get(place).content.decode() for place in ("/", f"/s/{asked.session.pk}/"))
    assert re.search(f'<option value="{kind.name}"( selected)?>{kind.label}</option>', start)
    assert f'<option value="{kind.name}" selected>{kind.label}</option>' in page
    for event, label in kind.events.items():
        assert Rating(kind=event).get_kind_display() == label


@each_word
def test_a_word_is_one_event_with_its_values(client, kind, word):
    asked = drawn(client, kind)
    assert_nothing(asked)
    assert asked.say(word).status_code == 302
    assert asked.stored() == [(asked.event(word), asked.about(word))]
    assert_only(asked, word)
    rating = Rating.objects.get()
    assert (rating.owner, rating.session) == (asked.session.owner, asked.session)
    assert rating.shown_at < rating.answered_at
    assert all(-1 <= value <= 1 for value in asked.about(word).values())
    kept = asked.counts()
    counts.recount(asked.session.pk)
    assert asked.counts() == kept


@each_word
def test_it_is_heard_from_a_page_of_before_the_way_of_asking_was_changed(client, kind, word):
    asked = drawn(client, kind)
    Session.objects.update(asking=next(name for name in KINDS if name != kind.name))
    asked.say(word)
    assert_only(asked, word)


@each_word
def test_the_same_form_twice_is_one_event(client, kind, word):
    asked, token = drawn(client, kind), uuid.uuid4()
    for _ in range(2):
        assert asked.say(word, token=token).status_code == 302
    assert [str(rating.form_token) for rating in Rating.objects.all()] == [str(token)]
    assert_only(asked, word)


@each_word
def test_what_was_taken_back_is_kept_and_says_nothing(client, kind, word):
    asked = drawn(client, kind)
    asked.say(word)
    asked.take_back()
    assert_nothing(asked)
    assert Rating.objects.get().undone_at is not None
    asked.say(word)
    assert_only(asked, word)
    assert Rating.objects.count() == 2


@each_word
def test_after_a_change_of_mind_the_last_word_stands(client, kind, word):
    """Another word of the same picture or pair; of a choice another picture, after the first was taken back."""
    others = [button.word for button in kind.buttons if button.word != word]
    number = 0 if others else 1
    for other in others or [word]:
        asked = drawn(client, kind)
        asked.say(word)
        first = Rating.objects.latest("pk")
        if not others and not kind.is_single:
            asked.take_back()
        asked.say(other, number)
        assert_only(asked, other, number)
        last = Rating.objects.latest("pk")
        is_heard = last.kind not in kind.unheard
        assert training.training_set(asked.session, 4).ratings == ({last.pk} if is_heard else set())
        first.refresh_from_db()
        assert (first.undone_at is None) == (isinstance(kind, OfTiles) and not kind.is_choice)  # the last one counts


@each_choice
def test_a_choice_is_saved_or_refused_in_a_sentence(client, kind):
    """All pictures one after another: those that were taken are pressed, each is preferred, none to another of them."""
    asked, (word,) = drawn(client, kind), [button.word for button in kind.buttons]
    taken: list[int] = []
    for number in range(PICTURES):
        before = asked.stored(), asked.counts(), asked.heard()
        answer = asked.say(word, number)
        if answer.status_code == 302:
            taken = [number] if kind.is_single else [*taken, number]
        else:
            assert answer.status_code == 409
            assert re.search(r'role="alert">[A-Z][^.<]+(: [^.<]+)?\.<', answer.content.decode())
            assert (asked.stored(), asked.counts(), asked.heard()) == before
        assert asked.pressed() == [word if n in taken else "" for n in range(PICTURES)]
        assert asked.counts()[2] == len(taken)
        votes = asked.heard()[1]
        assert not {n for n in range(PICTURES) if n not in taken and votes.get(n, 0) > 0}


@each_choice
def test_of_several_that_were_chosen_one_is_taken_back(client, kind):
    asked, (word,) = drawn(client, kind), [button.word for button in kind.buttons]
    asked.say(word, 0)
    asked.say(word, 1)
    asked.take_back(0)
    assert asked.pressed() == ["", word, "", "", ""]
    assert asked.counts()[2] == 1
    votes = asked.heard()[1]
    assert votes.pop(1) > 0
    assert max(votes.values()) < 0
    asked.take_back(1)
    assert_nothing(asked)


@each_kind
def test_without_form_submit_what_was_asked_for_follows(client, kind):
    """A word of one picture draws its slot anew; the last choice leads to the next batch; a pair to the next pair."""
    asked = drawn(client, kind, form_submit=False)
    for number in range(PICTURES if kind.is_choice else 1):
        if asked.session.batches.count() == 1:
            asked.say(kind.buttons[0].word, number)
    attempts = Counter(asked.batch.candidates.values_list("slot", flat=True))
    assert asked.session.batches.count() == (2 if kind.is_choice else 1)
    assert attempts[1] == (2 if isinstance(kind, OfTiles) and not kind.is_choice else 1)


@each_kind
def test_what_was_left_unrated_is_bad_only_where_it_is_said(client, kind):
    asked = drawn(client, kind, unrated_is_bad=True)
    client.post(reverse("submit", args=[asked.session.pk, 1]))
    assert asked.counts() == ((0, PICTURES, PICTURES) if kind.unrated_is_bad else (0, 0, 0))


@each_kind
def test_its_buttons_are_shown_where_it_asks(client, kind):
    asked = drawn(client, kind)
    shown = asked.buttons()
    assert list(shown) == [button.word for button in kind.buttons]
    for button in kind.buttons:
        of_button = shown[button.word]
        assert of_button["data-key"] == button.key
        assert of_button.get("aria-label", of_button["text"]).startswith(button.name or button.label)
        assert of_button.get("data-tone", "") == button.tone
        assert of_button.get("aria-pressed") == (None if kind.page else "false")
    page = client.get(f"/s/{asked.session.pk}/").content.decode()
    link = f'<a class="button primary" href="{asked.place}">{kind.invitation}</a>'
    assert (link in page) == bool(kind.page)
    assert ("data-rating" in page) != bool(kind.page)


@each_word
def test_a_tile_shows_what_was_said_and_a_pair_makes_way(client, kind, word):
    asked = drawn(client, kind)
    before = asked.html()
    asked.say(word)
    if kind.page:
        first = 'name="first" value="{}"'
        assert first.format(asked.candidates[0].pk) in before
        assert first.format(asked.candidates[2].pk) in asked.html()
        return
    assert asked.pressed() == [word, "", "", "", ""]
    assert (asked.buttons()[word]["text"] == "1st") == kind.has_places
    asked.take_back()
    assert asked.pressed() == [""] * PICTURES
    assert asked.buttons()[word]["text"] in {button.label for button in kind.buttons}


@each_kind
def test_ticks_in_the_form_of_the_batch_say_its_word(client, kind):
    asked = drawn(client, kind)
    ticks = set(re.findall(r'type="checkbox" name="(\w+)" value="\d+" form="batch-form"', asked.html()))
    assert ticks == ({kind.ticks} if kind.ticks else set())
    for word in ticks:
        client.post(reverse("submit", args=[asked.session.pk, 1]), {word: asked.candidates[0].pk})
        assert_only(asked, word)


@pytest.mark.django_db(transaction=True)
@each_kind
def test_the_next_batch_learns_from_it(client, manager, kind):
    """From the start form to the second batch, as a browser sends it."""
    client.post("/", start_form(asking=kind.name, value_model="bayesian", curation_size=PICTURES))
    batch = Session.objects.get().batches.get()
    draw_batch(batch.pk, manager, "gpu@test")
    asked = Asked(client, kind, batch)
    for number in range(3 if kind.is_choice else 2):
        asked.say(kind.buttons[0].word, number)
    client.post(reverse("submit", args=[asked.session.pk, 1]))
    following = asked.session.batches.get(number=2)
    draw_batch(following.pk, manager, "gpu@test")
    learned = OptimizerState.objects.get(batch=following)
    assert learned.note.startswith("The Bayesian model learned from")
    assert learned.ratings
    assert following.candidates.filter(state="ready", score__isnull=False).count() == PICTURES


def test_a_session_outlives_its_kind(client):
    asked = drawn(client, LABELS)
    Session.objects.update(asking="gone")
    Rating.objects.create(owner=asked.session.owner, session=asked.session, kind="gone").items.create(
        picture=asked.candidates[0].picture, value=1
    )
    assert list(asked.buttons()) == [button.word for button in LABELS.buttons]
    assert asked.heard() == (set(), {})


def test_another_kind_needs_no_migration(monkeypatch):
    class Another(GoodBad):
        name = "another"
        events = {"another": "Another"}

    monkeypatch.setitem(KINDS, "another", Another())
    assert ("another", "Good or bad") in kinds.ways_of_asking()
    assert ("another", "Another") in kinds.events()
    call_command("makemigrations", "preferences", check=True, dry_run=True, verbosity=0)
