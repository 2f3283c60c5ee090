"""A turn, told from the sentence to the answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
import logging
import math
from typing import Any, Final, Generic, Protocol, TypeVar

from ..providers.base import Caller
from ..providers.chain import AllProvidersFailed
from ..state.session_types import Session, Turn
from ..telemetry.trace import VoiceContext
from .actions import is_of_memories
from .agreement import Agreement
from .context import Heard, gather
from .enrolment import Heard as LessonHeard
from .follow_up import Answered, AskAgain, Cancelled, Kind, NotAnAnswer, Outcome, Question
from .interaction import Interaction, Tools
from .local import HELD, Answer, Hold, LocalAgent, Memory, answer_locally
from .mind import LanguageModels, Mind
from .policy import Spoken
from .prompt import build
from .ration import OutOfTokens, RationedModels
from .reply import Reply, Said, refuse
from .route import Route, route
from .second_factor import HIDDEN, Awaited, Permission
from .sentences import Phrase, say
from .telling import TIER, Forget, Teller
from .telling_grammar import Form, Wish, wish_of
from .telling_phrases import Say, say as tell
from .validate import ReplyCheck
from .verbs import is_yes, may_command

__all__ = ["TEXT_MAX_CHARS", "Here", "Reply", "Said", "take_turn"]

_LOGGER = logging.getLogger(__name__)

# A minute of speech; what is longer is no command, and matching takes longer with every word.
TEXT_MAX_CHARS: Final = 1_000

ResponseT = TypeVar("ResponseT")


class Here(Protocol[ResponseT]):
    """The home, as this sentence reaches it."""

    def agent(self, text: str, memory: Memory, hold: Hold | None) -> LocalAgent[ResponseT]:
        """Who understands a sentence locally and does what it asks, unless `hold` has something to say before."""

    async def is_command(self, text: str) -> bool:
        """Whether a sentence is a whole command; does nothing about it."""

    async def tools(self) -> Tools:
        """What a language model may do for the speaker."""

    def now(self) -> datetime:
        """The time in the home's zone."""


async def take_turn(said: Said, here: Here[ResponseT], mind: Mind, context: VoiceContext) -> Reply[ResponseT]:
    """Always answers with something to say, in the speaker's language, and never raises."""
    context.text, context.language, context.speaker = said.text, said.language, said.speaker
    context.is_sure = said.is_sure
    try:
        return await _Turn(said, here, mind, context).reply()
    except Exception:  # whatever broke in one turn, the family gets an answer
        _LOGGER.exception("Turn %s failed", context.trace_id)
        reply: Reply[ResponseT] = refuse(Phrase.FAILED, said.language, "failed")
        return _noted(reply, context)


@dataclass
class _Turn(Generic[ResponseT]):
    said: Said
    here: Here[ResponseT]
    mind: Mind
    context: VoiceContext
    session: Session | None = None
    error: str | None = None
    is_private: bool = False

    async def reply(self) -> Reply[ResponseT]:
        refused = await self._admit()
        if refused is not None:
            return _noted(refused, self.context)
        await self._enter()
        reply = await self._lesson() or await self._follow_up()
        if reply is None:
            reply = await self._locally(self.said.text)
            if reply is None or (reply.answer.error is not None and reply.answer.tier not in {HELD, TIER}):
                reply = await self._ask_models(instead_of=reply)
        if reply.words is None:
            self.is_private = reply.answer.tier == TIER
            await self._keep(reply.answer.speech)
        return _noted(reply, self.context)

    # Steps

    async def _admit(self) -> Reply[ResponseT] | None:
        """A refusal of what is no sentence, and of who says too many; None for one that may pass."""
        text, language = self.said.text, self.said.language
        if not text.strip():
            return refuse(Phrase.HEARD_NOTHING, language, "nothing was said")
        if len(text) > TEXT_MAX_CHARS:
            return refuse(Phrase.TOO_LONG, language, f"longer than {TEXT_MAX_CHARS} characters")
        with self.context.stage("admit"):
            verdict = await self.mind.limiter.admit(self.said.device_id)
        if verdict.allowed:
            return None
        seconds = max(1, math.ceil(verdict.retry_after_s))
        return refuse(Phrase.TOO_OFTEN, language, f"more than {verdict.bound}", seconds=seconds)

    async def _enter(self) -> None:
        with self.context.stage("session"):
            entered = await self.mind.sessions.enter(
                self.said.device_id, speaker=self.said.speaker, conversation_id=self.said.conversation_id
            )
        # Without a session commands are done all the same; only talk needs one.
        self.session = entered if isinstance(entered, Session) else None

    async def _lesson(self) -> Reply[ResponseT] | None:
        """What is said while a voice is learnt; None outside of that."""
        said, lessons = self.said, self.mind.lessons
        if lessons is None:
            return None
        heard = LessonHeard(said.text, said.language, said.device_id, said.speaker, said.voice)
        lesson = await lessons.hear(heard, self.here.is_command)
        if lesson is None:
            return None
        if lesson.is_secret:
            self._keep_secret()
        return Reply(Answer(lesson.speech, tier="instant"), asks=lesson.listens)

    async def _follow_up(self) -> Reply[ResponseT] | None:
        """What becomes of a question that waits for this speaker; None when the sentence stands for itself."""
        said, mind = self.said, self.mind
        if self.session is None:
            return None
        # A code is nobody's to read afterwards, whether it was right, came too late or was somebody else's.
        secret = mind.codes.is_secret(said.device_id, said.text, said.language)
        outcome = await mind.follow_ups.hear(
            said.device_id,
            said.speaker,
            said.text,
            language=said.language,
            is_command=self._is_command,
            conversation_id=said.conversation_id,
        )
        if secret and not (isinstance(outcome, NotAnAnswer) and await self.here.is_command(said.text)):
            self._keep_secret()
            if isinstance(outcome, NotAnAnswer):
                return Reply(Answer(say(Phrase.CODE_TOO_LATE, said.language), tier="instant"))
        return await self._answered(outcome)

    async def _answered(self, outcome: Outcome) -> Reply[ResponseT] | None:
        said, mind = self.said, self.mind
        reply: Reply[ResponseT] | None = None
        match outcome:
            case NotAnAnswer():
                reply = self._unheard_yes()
            case AskAgain(text, is_private):
                if is_private and not said.is_sure:
                    text = tell(Say.UNSURE, said.language)
                reply = Reply(Answer(text, tier=TIER if is_private else "instant"), asks=True)
            case Cancelled(_, str(rest)):
                reply = await self._locally(rest)
            case Cancelled(text):
                reply = Reply(Answer(text or say(Phrase.LEFT_ALONE, said.language), tier="instant"))
            case Answered(Forget() as what) if mind.telling is not None:
                reply = self._asking(await mind.telling.forget(what, self._teller()))
            case Answered(choice, None):
                # To an open question: the sentence stands for itself, in the context of the talk.
                is_sentence = isinstance(choice, str) and choice != said.text
                reply = await self._locally(choice) if is_sentence else None
            case Answered(choice, Awaited() as awaited):
                reply = await self._agreement().settle(choice, awaited)
        return reply

    def _agreement(self) -> Agreement[ResponseT]:
        mind = self.mind
        household, codes = mind.policy.household, mind.codes
        return Agreement(self.said, self.context, household, codes, self._ask, self._do, self._keep)

    def _unheard_yes(self) -> Reply[ResponseT] | None:
        """What is said to a yes that is too short to know the voice by, where that has to be known."""
        said, follow_ups = self.said, self.mind.follow_ups
        if said.speaker is not None or not is_yes(said.text, said.language):
            return None
        if not follow_ups.needs_voice(said.device_id, said.conversation_id):
            return None
        return Reply(Answer(say(Phrase.SAY_IT_ALL, said.language), tier="instant"), asks=True)

    def _keep_secret(self) -> None:
        """From here on nothing knows what was said."""
        self.said = replace(self.said, text=HIDDEN)
        self.context.text = HIDDEN

    async def _do(self, awaited: Awaited) -> Reply[ResponseT] | None:
        """What was agreed to: a model's call, or a sentence of the home's own."""
        if isinstance(awaited.what, str):
            return await self._locally(awaited.what, is_agreed=True)
        if is_of_memories(awaited.what.name) and not self.said.is_sure:
            self._ask(Question(Kind.CONFIRM, self.said.language, sensitive=True, awaited=awaited))
            return Reply(Answer(tell(Say.UNSURE, self.said.language), tier=TIER), asks=True)
        with self.context.stage("tool"):
            result = await (await self.here.tools()).call(awaited.what)
        failed = isinstance(result, dict) and "error" in result
        phrase = Phrase.FAILED if failed else Phrase.DONE
        return Reply(Answer(say(phrase, self.said.language), tier="action", error="failed" if failed else None))

    async def _locally(self, text: str, *, is_agreed: bool = False) -> Reply[ResponseT] | None:
        memory = self.mind.commands.of(self.session.id if self.session else self.said.device_id)
        agent = self.here.agent(text, memory, None if is_agreed else self._hold)
        answer = await answer_locally(
            agent,
            self.context,
            is_worth_a_rescue=lambda: self._is_worth_a_rescue(text),
            memory=None if self.mind.telling is None else lambda: self._ask_memory(text),
        )
        if answer is None:
            return None
        return self._asking(answer)

    def _asking(self, answer: Answer[ResponseT]) -> Reply[ResponseT]:
        """An answer with its question, if it is one."""
        if answer.question is not None and self.session is not None:
            self._ask(answer.question)
        return Reply(answer, asks=answer.question is not None)

    def _hold(self, text: str, intent: str, slots: Mapping[str, Any]) -> Answer[Any] | None:
        """What is said instead of carrying out a sentence that opens the home; see `Policy.hold`."""
        said = self.said
        held = self.mind.policy.hold(intent, slots, self._spoken())
        if held is None:
            return None
        if held.question is None:
            phrase = _UNHEARD[held.permission] if said.speaker is not None else Phrase.UNKNOWN_VOICE
            return Answer(say(phrase, said.language), tier=HELD, intent=intent, error=f"not allowed: {phrase.value}")
        if self.session is None:
            return Answer(say(Phrase.TRY_LATER, said.language), tier=HELD, intent=intent, error="no session")
        awaited = Awaited(text, said.speaker, held.permission, held.question)
        question = Question(Kind.CONFIRM, said.language, sensitive=True, awaited=awaited)
        return Answer(held.question, tier=HELD, intent=intent, question=question)

    def _spoken(self) -> Spoken:
        said, session = self.said, self.session
        earlier = tuple(turn.said for turn in self._earlier())
        name = session.id if session else ""
        return Spoken(said.text, said.language, said.speaker, name, said.area, earlier, said.is_sure)

    async def _ask_memory(self, text: str) -> Answer[ResponseT] | None:
        """The answer to a sentence about memories; None to every other one."""
        telling, wish = self.mind.telling, wish_of(text, self.said.language)
        return None if telling is None or wish is None else await telling.answer(wish, self._teller())

    def _teller(self) -> Teller:
        said = self.said
        return Teller(said.speaker, said.language, self.session, self.context.trace_id, said.is_sure)

    async def _is_command(self, text: str) -> bool:
        """Whether a sentence stands for itself while a question waits."""
        wish = None if self.mind.telling is None else wish_of(text, self.said.language)
        return _stands_alone(wish) or await self.here.is_command(text)

    def _is_worth_a_rescue(self, text: str) -> bool:
        """Whether a sentence that is no known one may still be a command; what is not of the home is for a model."""
        if self.mind.models is None:
            return True
        things = self.mind.policy.things
        said = things.mentions(text, self.said.language)
        is_of_the_home = said.areas or said.floors or said.kinds or things.named_in(said.words)
        return bool(is_of_the_home) and may_command(said.words, self.said.language)

    async def _ask_models(self, instead_of: Reply[ResponseT] | None) -> Reply[ResponseT]:
        """A language model's answer; without one what was understood here, or why there is none."""
        models, language = self.mind.models, self.said.language
        if models is None:
            return instead_of or refuse(Phrase.CANNOT_HELP, language, "not understood")
        if self.session is None:
            return instead_of or refuse(Phrase.TRY_LATER, language, "no session")
        with self.context.stage("route"):
            way = route(self.said.text, self.mind.budget, models.tiers, trace_id=self.context.trace_id)
        if way.refusal is not None:
            return instead_of or refuse(way.refusal, language, "not allowed")
        interaction = await self._interaction(models)
        return Reply(Answer("", tier=way.tiers[0]), words=self._words(interaction, way, self.session))

    # A language model's answer

    async def _interaction(self, models: LanguageModels) -> Interaction:
        spoken, policy = self._spoken(), self.mind.policy
        tools = await self.here.tools()
        rationed = RationedModels(models.chain, self.mind.limiter, self.said.device_id)
        return Interaction(rationed, tools, lambda call: policy.decide(call, spoken), policy.things)

    async def _words(self, interaction: Interaction, way: Route, session: Session) -> AsyncGenerator[str, None]:
        """The sentences; when they end, or nobody listens any more, what the turn leaves behind. Never raises."""
        context, spoken, self.error = self.context, "", None
        try:
            async with aclosing(self._words_or_excuse(interaction, way, session)) as sentences:
                async for sentence in sentences:
                    if not spoken:
                        context.mark("first words")
                    piece = sentence if _is_apart(spoken, sentence) else f" {sentence}"
                    spoken += piece
                    yield piece
        finally:
            context.reply, context.error = spoken, self.error
            self.mind.counts.replied(spoken, intent=None, path="interaction")
            self._ask_what_the_model_asked(interaction, spoken)
            self.is_private = self.is_private or any(is_of_memories(call.name) for call in interaction.wanted())
            await self._keep(spoken)

    async def _words_or_excuse(
        self, interaction: Interaction, way: Route, session: Session
    ) -> AsyncGenerator[str, None]:
        phrase, minutes = None, 0
        try:
            async with aclosing(self._model_words(interaction, way, session)) as sentences:
                async for sentence in sentences:
                    yield sentence
        except AllProvidersFailed as failure:
            phrase, self.error = Phrase.MODELS_GONE, str(failure)
        except OutOfTokens as short:
            phrase, self.error = Phrase.TALKED_OUT, "more than tokens"
            minutes = max(2, math.ceil(short.retry_after_s / 60))
        except _UnfinishedError:
            phrase, self.error = Phrase.UNFINISHED, "unfinished"
        except Exception:
            _LOGGER.exception("Turn %s failed", self.context.trace_id)
            phrase, self.error = Phrase.FAILED, "failed"
        if phrase is not None:
            yield say(phrase, self.said.language, minutes=minutes)

    async def _model_words(self, interaction: Interaction, way: Route, session: Session) -> AsyncGenerator[str, None]:
        said, context = self.said, self.context
        heard = Heard(said.text, said.language, said.speaker, session.id, said.area, self.here.now(), said.is_sure)
        known = await gather(self.mind.sources, heard, context)
        earlier = self._earlier()
        self.is_private = any(turn.is_private for turn in earlier) or (said.is_sure and bool(known.memories))
        built = build(self.mind.policy.things, heard, known, earlier, interaction.tools.tools)
        for part in built.trimmed:
            context.mark(f"prompt without {part}")
        caller = Caller(context.trace_id, "interaction", said.speaker, session.id)
        check = ReplyCheck(self.mind.sources.house, said.language, self.mind.counts, interaction.acted)
        is_silent = True
        with context.stage("model"):
            async for sentence in interaction.sentences(built.prompt, tiers=way.tiers, caller=caller):
                checked = check.check(sentence)
                for finding in checked.findings:
                    context.mark(f"reply {finding.kind}")
                is_silent = is_silent and not checked.text.strip()
                if checked.text:
                    yield checked.text
        if is_silent or not interaction.is_whole:
            raise _UnfinishedError

    def _ask_what_the_model_asked(self, interaction: Interaction, spoken: str) -> None:
        if (confirm := interaction.confirm) is not None:
            awaited = Awaited(confirm.call, self.said.speaker, confirm.proof, confirm.question)
            question = Question(Kind.CONFIRM, self.said.language, sensitive=confirm.sensitive, awaited=awaited)
            self._ask(question)
        elif spoken.rstrip().endswith("?"):
            self._ask(Question(Kind.OPEN, self.said.language))

    def _earlier(self) -> tuple[Turn, ...]:
        """What was said before, as far as this voice may know of it."""
        turns = () if self.session is None else self.session.turns
        return tuple(turn for turn in turns if self.said.is_sure or not turn.is_private)

    # What a turn leaves behind

    def _ask(self, question: Question, whom: str | None = None) -> None:
        said = self.said
        if question.awaited is not None and question.awaited.needs_code:
            self.mind.codes.ask(said.device_id)
        speaker = whom or said.speaker
        self.mind.follow_ups.ask(said.device_id, speaker, question, conversation_id=said.conversation_id)

    async def _keep(self, speech: str) -> None:
        if self.session is not None:
            # A guest is told what everybody may hear.
            is_private = self.is_private and self.said.speaker is not None
            turn = Turn(self.said.text, speech, self.context.trace_id, is_private=is_private)
            await self.mind.sessions.add_turn(self.session, turn)


_UNHEARD: Final[Mapping[Permission, Phrase]] = {
    Permission.NO: Phrase.MAY_NOT,
    Permission.UNSURE: Phrase.UNSURE_VOICE,
}


def _stands_alone(wish: Wish | None) -> bool:
    """Whether a wish is no answer to a question; "forget that" may be one."""
    return wish is not None and wish.form not in {Form.FORGET_THAT, Form.WHAT}


def _is_apart(spoken: str, sentence: str) -> bool:
    """Whether a sentence stands apart from what was said before it."""
    return not spoken or spoken[-1].isspace() or sentence[:1].isspace()


class _UnfinishedError(Exception):
    """A model said nothing, or did not come to an end."""


def _noted(reply: Reply[ResponseT], context: VoiceContext) -> Reply[ResponseT]:
    answer = reply.answer
    if reply.words is None:
        context.reply = answer.speech
    context.intent, context.tier, context.error = answer.intent, answer.tier, answer.error
    return reply
