"""The answer, in process: shopper states in, slates out. Serving, evaluation and notebooks all use this one path."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recsys.catalogue import Catalogue
from recsys.clock import MINUTE
from recsys.errors import ConfigError, UnknownItemError
from recsys.event import Event, EventType
from recsys.feature.spec import FeatureSpec
from recsys.fingerprint import Fingerprints
from recsys.intent.intent import Intent, intents
from recsys.intent.module import IntentModule
from recsys.model.encoder import SequenceEncoder
from recsys.model.reading import Reader, Reads
from recsys.protocols import Encoder, Index, Policy, Ranker
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.assortment import Assortment
from recsys.retrieval.blend import ENCODER, FILL, Blend, filled, ranked
from recsys.retrieval.mixing import Blended, Mixed
from recsys.retrieval.proposals import Proposals
from recsys.sequence.coding import Coding
from recsys.sequence.question import askable, question_batch, remembered
from recsys.shoppers import Shoppers
from recsys.slate import Candidates, Choice, Reason, Slate, SlateItem
from recsys.state import Context, Knowledge, ShopperState

ENCODER_DEPTH = 200
_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommender:
    """Everything an answer needs, loaded from a bundle or fresh from training.

    Attributes:
        model_version: digest of the bundle's manifest; "unsaved" before there is one.
        data_end: instant of the last event of the log it was made from.
        facts: what the bundle tells about its making (data, licence, cut-off, versions).
        ranker: orders what was retrieved for known shoppers; where there is none the blend's weights do.
        heads: what tells a shopper's intent, on the encoder's trunk; None where nothing was trained to.
        offer: what is on offer now and may change meanwhile; None for the catalogue as it was trained on, all of it.
        reader: encodes shoppers, remembers them or asks elsewhere; None where every question is read as a whole, here.
        fingerprints: of what was chosen from; remembers the digests of ids.
    """

    catalogue: Catalogue
    features: FeatureSpec
    encoder: Encoder
    index: Index
    blend: Blend
    policy: Policy
    data_end: int
    ranker: Ranker | None = None
    model_version: str = "unsaved"
    facts: Mapping[str, Any] = field(default_factory=dict)
    heads: IntentModule | None = None
    offer: Assortment | None = None
    reader: Reads | None = None
    fingerprints: Fingerprints = field(default_factory=Fingerprints, repr=False, compare=False)

    @classmethod
    def load(cls, bundle: Path | str, *, threads: int | None = None) -> "Recommender":
        """Verify and read a bundle directory; anything wrong raises BundleError naming the file.

        `threads` pins torch and FAISS to that many; None leaves them as they are.
        """
        from recsys.bundle import read_bundle

        if threads is not None:
            torch.set_num_threads(threads)
        return read_bundle(Path(bundle), threads=threads)

    def on_offer(self) -> "Recommender":
        """The same recommender with a live assortment, which begins as the catalogue."""
        vectors = self.encoder.item_vectors().detach().numpy()
        return replace(self, offer=Assortment(self.catalogue, self.index, vectors))

    def remembering(self, *, most_tokens: int = 100_000) -> "Recommender":
        """The same recommender, which of shoppers it met before reads only what is new, where its encoder can; up to so
        many tokens are kept, each the size of two states per block."""
        if not isinstance(self.encoder, SequenceEncoder) or not Reader.can_read(self.encoder, self.features):
            return self
        return replace(self, reader=Reader(self.encoder, self.features, most_tokens=most_tokens))

    def forget(self, whose: Callable[[str], bool]) -> None:
        """Let go of what is remembered of the shoppers for whose name (`ShopperState.shopper`) this holds."""
        if self.reader is not None:
            self.reader.forget(whose)

    @property
    def coding(self) -> Coding:
        """How events become the small numbers of a history."""
        return Coding(self.catalogue, self.features.channels, self.features.devices)

    def encode(self, states: Sequence[ShopperState]) -> np.ndarray:
        """Query vectors [B, D] float32 of shoppers [B], each at its own instant."""
        if self.reader is not None:
            return self.reader.encode(states)
        with torch.inference_mode():
            return self.encoder(question_batch(list(states), self.features)).numpy()

    def intent(self, states: Sequence[ShopperState]) -> list[Intent]:
        """What each shopper [B] is after, each at its own instant; without heads nothing is told."""
        return intents(self.heads, self.encoder, states, self.features)

    def retrieve(self, states: Sequence[ShopperState]) -> list[Candidates]:
        """The encoder's candidates of each state; scores are the softmax over those retrieved."""
        return self.nearest(self._encoded(states), states)

    def nearest(self, query: np.ndarray, states: Sequence[ShopperState]) -> list[Candidates]:
        """The candidates of each query vector [B, D], as `retrieve` gives them; what is excluded, not on offer or not
        wanted takes no place."""
        if self.offer is None:
            found = self._nearest(query, states, None)
            return [found.one(place) for place in range(len(states))]
        candidates: dict[int, Candidates] = {}
        asked: dict[Allowed, list[int]] = {}
        for place, state in enumerate(states):
            asked.setdefault(self.offer.allowed(state.wanted, place=state.context.store), []).append(place)
        for allowed, places in asked.items():
            found = self._nearest(query[places], [states[p] for p in places], allowed)
            candidates |= {place: found.one(number) for number, place in enumerate(places)}
        return [candidates[place] for place in range(len(states))]

    def _nearest(self, query: np.ndarray, states: Sequence[ShopperState], allowed: Allowed | None) -> Proposals:
        hidden = [state.exclude for state in states]
        count = ENCODER_DEPTH + max(map(len, hidden), default=0)
        if self.offer is None or allowed is None:
            scores, items = self.index.search(query, count)
        else:
            scores, items = self.offer.search(query, count, allowed)
        for row, excluded in enumerate(hidden):
            if excluded:
                scores[row, np.isin(items[row], list(excluded))] = -np.inf
        if items.shape[1] > ENCODER_DEPTH:
            order = np.argsort(-scores, axis=1, kind="stable")[:, :ENCODER_DEPTH]
            scores, items = np.take_along_axis(scores, order, 1), np.take_along_axis(items, order, 1)
        best = scores.max(1, keepdims=True, initial=-np.inf)
        chance = np.exp(scores - np.where(np.isfinite(best), best, 0.0))  # all may be excluded
        chance /= np.maximum(chance.sum(1, keepdims=True), np.finfo(np.float32).tiny)
        here = items > 0  # fewer may be allowed than are asked for
        start = np.zeros(len(items) + 1, np.int64)
        np.cumsum(here.sum(1), out=start[1:])
        return Proposals(start, items[here], chance[here])

    def answer(
        self,
        states: Sequence[ShopperState],
        *,
        counts: Sequence[int],
        rng: np.random.Generator | Sequence[np.random.Generator],
        with_encoder: bool = True,
        with_ranker: bool = True,
    ) -> list[Slate]:
        """A slate for each state, of at most `counts` [B] items, by one `rng` or by one for each state [B]. CPU-bound
        and synchronous.

        Without the encoder the crowd's sources answer alone, and the slate says that it is degraded; without the ranker
        the blend's weights order.
        """
        chosen = self.choose(states, counts=counts, rng=rng, with_encoder=with_encoder, with_ranker=with_ranker)
        degraded = None if with_encoder else "the model did not answer; this is the wisdom of crowds"
        return [
            Slate(
                items=self._items(state, *choice),
                knowledge=state.knowledge,
                policy=self.policy.name,
                model_version=self.model_version,
                degraded=degraded,
                candidates=self._fingerprint(choice[0].candidates),
            )
            for state, choice in zip(states, chosen, strict=True)
        ]

    def choose(
        self,
        states: Sequence[ShopperState],
        *,
        counts: Sequence[int],
        rng: np.random.Generator | Sequence[np.random.Generator],
        with_encoder: bool = True,
        with_ranker: bool = True,
        query: np.ndarray | None = None,
    ) -> list[tuple[Blended, Choice]]:
        """What `answer` says, without the words: retrieval, blend and policy for each state; `query` [B, D] are the
        states' query vectors where they are known already."""
        if wrong := [count for count in counts if count < 1]:
            raise ConfigError(f"count is {wrong[0]}; ask for at least one item")
        together: dict[tuple[Knowledge, bool, Allowed | None], list[int]] = {}
        for place, (state, knowledge) in enumerate(zip(states, Shoppers(states).knowledge, strict=True)):
            asks = with_encoder and bool(self.blend.weights.get(knowledge, {}).get(ENCODER))
            key = knowledge, asks and askable(state, self.features), self._allowed(state)
            together.setdefault(key, []).append(place)
        asking = sorted(place for (_, asks, _), places in together.items() for place in places if asks)
        if asking and query is None:
            query = np.zeros((len(states), self.encoder.vector_size), np.float32)
            query[asking] = self._encoded([states[place] for place in asking])
        found: dict[int, tuple[Blended, Choice]] = {}
        for (knowledge, asks, allowed), places in together.items():
            some = [states[place] for place in places]
            encoder = self._nearest_of(query[places], some, allowed) if asks and query is not None else None
            own = [rng if isinstance(rng, np.random.Generator) else rng[place] for place in places]
            found |= zip(
                places,
                self._chosen(some, knowledge, encoder, allowed, [counts[place] for place in places], own, with_ranker),
                strict=True,
            )
        return [found[place] for place in range(len(states))]

    def _encoded(self, states: Sequence[ShopperState]) -> np.ndarray:
        return np.concatenate([self.encode(states[at : at + _BATCH]) for at in range(0, len(states), _BATCH)])

    def _nearest_of(self, query: np.ndarray, states: Sequence[ShopperState], allowed: Allowed | None) -> Proposals:
        """The encoder's candidates of shoppers to whom the same may be shown."""
        if self.offer is not None and allowed is None:
            allowed = self.offer.allowed(states[0].wanted, place=states[0].context.store)
        return self._nearest(query, states, allowed)

    def _chosen(
        self,
        states: Sequence[ShopperState],
        knowledge: Knowledge,
        encoder: Proposals | None,
        allowed: Allowed | None,
        counts: Sequence[int],
        rng: Sequence[np.random.Generator],
        with_ranker: bool,
    ) -> list[tuple[Blended, Choice]]:
        """All candidates of shoppers that are known as well and to whom the same may be shown, and what the policy
        chose: by the ranker where it learnt of such shoppers and the encoder spoke, else by the blend; filled up with
        whatever is wanted, where that leaves too few."""
        shoppers = Shoppers(states)
        gathered = self.blend.gather_all(shoppers, knowledge, encoder, allowed)
        mixed = self.blend.mix_all(gathered, self.blend.weights.get(knowledge, {}))
        if allowed is not None and any(state.wanted is not None for state in states):
            parts = [
                filled(mixed.one(number), state, allowed, count)
                for number, (state, count) in enumerate(zip(states, counts, strict=True))
            ]
            mixed = Mixed.of(parts)
        if with_ranker and encoder is not None and knowledge is Knowledge.KNOWN and self.ranker and self.ranker.ready:
            mixed = ranked(self.ranker, shoppers, mixed, known=self.catalogue.size)
        choices = self.policy.choices(shoppers, mixed, counts=counts, rng=rng)
        return [(mixed.one(number), choice) for number, choice in enumerate(choices)]

    def _allowed(self, state: ShopperState) -> Allowed | None:
        """What may be shown to the shopper; None where that is everything there ever was."""
        if self.offer is None:
            return None
        allowed = self.offer.allowed(state.wanted, place=state.context.store)
        return None if allowed.count == len(allowed.mask) - 1 else allowed

    def recommend(
        self,
        history: Iterable[Event | str] = (),
        *,
        at: int | None = None,
        count: int = 10,
        exclude: Iterable[str] = (),
        seed: int = 0,
    ) -> Slate:
        """The slate for one shopper, given events or plain item ids (taken as views a minute apart, last one now).

        `at` is the instant of the question in microseconds UTC; by default just after the last event, or the end of
        the training log. Unknown item ids raise UnknownItemError.
        """
        events = self._events(history)
        last = max((event.occurred_at for event in events), default=self.data_end)
        context = Context(at=last + 1 if at is None else at)
        excluded = frozenset(self._known(item_id) for item_id in exclude)
        known = self.coding.of_events(events, before=context.at)
        state = ShopperState(remembered(known, self.features.memory), context, excluded)
        return self.answer([state], counts=[count], rng=np.random.default_rng(seed))[0]

    def _events(self, history: Iterable[Event | str]) -> list[Event]:
        if isinstance(history, str):
            raise ConfigError(f"history is the text {history!r}; give a list of item ids or events")
        given = list(history)
        events = [
            Event(
                event_id=f"given-{place:06d}",
                type=EventType.VIEW,
                occurred_at=self.data_end - (len(given) - 1 - place) * MINUTE,
                item_id=entry,
            )
            if isinstance(entry, str)
            else entry
            for place, entry in enumerate(given)
        ]
        for event in events:
            if event.item_id is not None:
                self._known(event.item_id)
        return events

    def _known(self, item_id: str) -> int:
        index = self.catalogue.index_of(item_id)
        if not index:
            raise UnknownItemError(f"item {item_id!r} is not in the catalogue of {self.catalogue.size - 1} items")
        return index

    def _items(self, state: ShopperState, blended: Blended, choice: Choice) -> tuple[SlateItem, ...]:
        item, source = blended.candidates.item[choice.place], blended.source[choice.place].tolist()
        id_of = (self.offer or self.catalogue).id_of
        reasons: dict[int, Reason] = {}
        for number in set(source):
            own = item[[place for place, other in enumerate(source) if other == number]]
            reasons.update(zip(own.tolist(), self._reasons(state, blended.names[number], own), strict=True))
        return tuple(
            SlateItem(
                index=index,
                item_id=id_of(index),
                score=score,
                source=blended.names[number],
                reason="you looked at this" if reasons[index].cause == index else self._told(reasons[index]),
                propensity=propensity,
            )
            for index, number, score, propensity in zip(
                item.tolist(), source, choice.score.tolist(), choice.propensity.tolist(), strict=True
            )
        )

    def _fingerprint(self, candidates: Candidates) -> str:
        """Of the candidates, which come by index, in the order of their scores; of equal scores the smaller index comes
        first."""
        order = np.argsort(-candidates.score, kind="stable")
        return self.fingerprints.of(candidates.item[order], (self.offer or self.catalogue).id_of)

    def _reasons(self, state: ShopperState, name: str, item: np.ndarray) -> list[Reason]:
        for source in self.blend.sources:
            if source.name == name:
                return source.reasons(state, item)
        if name == FILL:
            return [Reason("one of what you asked for")] * len(item)
        latest = state.history.interactions().item
        because = Reason("fits your interest in {title}", int(latest[-1])) if len(latest) else None
        return [because or Reason("worth a look")] * len(item)

    def _told(self, reason: Reason) -> str:
        if not reason.cause:
            return reason.words
        shown = self.catalogue.title(reason.cause) if self.offer is None else self.offer.item(reason.cause).title
        return reason.words.format(title=shown)
