"""What a person may send of pictures."""

from typing import Any

from django import forms

from preferences.feedback.kinds import ANSWERS, WORDS, ways_of_asking

LARGEST_ID = 2**63 - 1  # that the database can look for


class RatingForm(forms.Form):
    value = forms.ChoiceField(choices=[(word, word) for word in (*WORDS, "none")])
    form_token = forms.UUIDField()
    page = forms.UUIDField(required=False)
    asking = forms.ChoiceField(choices=ways_of_asking, required=False)  # as the page asks, which may be an older one
    turn = forms.IntegerField(required=False, min_value=0, max_value=LARGEST_ID)

    def clean_turn(self) -> int:
        return self.cleaned_data["turn"] or 0


class CompareForm(forms.Form):
    first = forms.IntegerField(min_value=0, max_value=LARGEST_ID)
    second = forms.IntegerField(min_value=0, max_value=LARGEST_ID)
    answer = forms.ChoiceField(choices=[(answer, answer) for answer in ANSWERS])
    form_token = forms.UUIDField()


class BatchRatingsForm(forms.Form):
    """The whole-batch form: ids of the good and the bad pictures, as many of each as were ticked."""

    good = forms.TypedMultipleChoiceField(coerce=int, required=False)
    bad = forms.TypedMultipleChoiceField(coerce=int, required=False)

    def __init__(self, *args: Any, candidate_ids: list[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            assert isinstance(field, forms.TypedMultipleChoiceField)
            field.choices = [(pk, pk) for pk in candidate_ids]
            field.error_messages["invalid_choice"] = "Picture %(value)s is not in this batch: reload the page."
