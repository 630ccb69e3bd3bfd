"""What people write: titles, descriptions, tags, and the names they post under."""

from pin_emulator.dealer import Dealer
from pin_emulator.words import WORDS

# Shares of the pins, or of the posters, that …
WRITTEN_ELSEWHERE = 0.03  # have a title in another language
ENDING_WITH_A_CALL = 0.7  # have a call to click after the description
PERSONS = 0.6  # are named like a person; the others are blogs
CYRILLIC = 0.08  # write their names in Cyrillic


class Writer:
    """Writes one pin: about one subject of its category, with the dealer's luck."""

    def __init__(self, category: str, dealer: Dealer) -> None:
        self._dealer = dealer
        self._theme = WORDS.themes[category]
        self._subject = dealer.pick(self._theme.subjects)

    def title(self) -> str:
        """Return a headline."""
        dealer = self._dealer
        if dealer.chance() < WRITTEN_ELSEWHERE:
            return dealer.pick(self._theme.titles_elsewhere)
        title = dealer.pick(WORDS.titles).format(
            number=5 + dealer.below(96),
            adjective=dealer.pick(WORDS.adjectives),
            subject=self._subject,
            year=2017 + dealer.below(6),
        )
        return title[0].upper() + title[1:]

    def description(self) -> str:
        """Return one to three sentences, mostly with a call to click."""
        dealer = self._dealer
        sentences = dealer.shuffled(self._theme.sentences)[: 1 + dealer.below(3)]
        if dealer.chance() < ENDING_WITH_A_CALL:
            sentences.append(dealer.pick(WORDS.closings))
        return " ".join(sentences).format(subject=self._subject)

    def tags(self) -> str:
        """Return four to eight tags joined by commas."""
        return ",".join(self._dealer.shuffled(self._theme.tags)[: 4 + self._dealer.below(5)])


def poster_name(category: str, dealer: Dealer) -> str:
    """Return the name of a person, or of a blog about the category."""
    people = WORDS.cyrillic if dealer.chance() < CYRILLIC else WORDS.latin
    first, last = dealer.pick(people.first_names), dealer.pick(people.last_names)
    if dealer.chance() < PERSONS:
        return f"{first} {last}"
    ending = dealer.pick(WORDS.blog_endings).format(first=first, last=last)
    return dealer.pick(WORDS.themes[category].blogs) + ending
