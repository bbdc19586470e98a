"""A face that is being enrolled is compared with those that are: is it the right person's?"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from facewatch.domain.calibration import Calibration
from facewatch.domain.faces import Template
from facewatch.domain.ids import OrgId, PersonId
from facewatch.domain.people import Called, Hit, Matchmaker
from facewatch.ports.gallery import Gallery
from facewatch.ports.people import Enrolment, People

_RECENT = 512
_LIKEST = 8


@dataclass(frozen=True, slots=True)
class Likeness:
    """What to warn of: a warning is for a person to look at, and refuses nothing.

    Attributes:
        threshold: Least confidence to be like somebody, where an org has not settled its own.
        recent: What was enrolled here and may not be in the gallery in force yet.
    """

    gallery: Gallery
    calibration: Calibration
    people: People
    threshold: float
    thresholds: Mapping[OrgId, float]
    recent: deque[Matchmaker] = field(default_factory=lambda: deque(maxlen=_RECENT))

    def enrolled(self, matchmakers: Sequence[Matchmaker]) -> None:
        """*matchmakers* count from now on."""
        self.recent.extend(matchmakers)

    async def warnings(
        self, org: OrgId, enrolments: Sequence[tuple[PersonId, Enrolment]]
    ) -> list[str]:
        """What is odd about each; '' where nothing is. Those before it count as enrolled."""
        if not enrolments:
            return []
        persons = list({person for person, _ in enrolments})
        model = enrolments[0][1].model
        owners = await self.people.photo_owners(org, [it.digest for _, it in enrolments])
        own = await self.people.templates(org, persons, model)
        fresh = await self._fresh(org)
        likest = await asyncio.to_thread(self._likest, org, enrolments, fresh)
        said = []
        for (person, enrolment), like in zip(enrolments, likest, strict=True):
            same = owners.setdefault(enrolment.digest, [])
            others = [it.id for it in same if it.id != person]
            said.append(
                _joined(
                    f"the very same photo is enrolled for {await self._name(org, others[0])}"
                    if others
                    else await self._like(org, like),
                    self._unlike(enrolment.template, own.get(person, [])),
                )
            )
            same.append(Called(person, ""))
            own.setdefault(person, []).append(enrolment.template)
        return said

    async def _fresh(self, org: OrgId) -> list[Matchmaker]:
        """Those of `recent` that are still enrolled, as whose they are today."""
        fresh = [it for it in self.recent if it.org == org]
        held = await self.people.holding(org, [it.face for it in fresh])
        return [replace(it, person=held[it.face]) for it in fresh if it.face in held]

    def _likest(
        self,
        org: OrgId,
        enrolments: Sequence[tuple[PersonId, Enrolment]],
        fresh: list[Matchmaker],
    ) -> list[Hit | None]:
        """Of each, the enrolled face of somebody else that is most like it. Blocks."""
        found = []
        for person, enrolment in enrolments:
            hits = [
                Hit(it.face, it.person, float(np.dot(it.template, enrolment.template)))
                for it in fresh
            ]
            hits += self._search(org, person, enrolment.template)
            others = [hit for hit in hits if hit.person != person]
            found.append(max(others, key=lambda hit: hit.similarity, default=None))
            fresh.append(Matchmaker(enrolment.face, person, org, enrolment.template))
        return found

    def _search(self, org: OrgId, person: PersonId, template: Template) -> list[Hit]:
        """The likest, and somebody else among them however many photos *person* has."""
        limit = _LIKEST
        while True:
            hits = self.gallery.search(org, template, limit)
            if len(hits) < limit or any(hit.person != person for hit in hits):
                return hits
            limit *= 8

    async def _like(self, org: OrgId, hit: Hit | None) -> str:
        if hit is None:
            return ""
        confidence = self.calibration.confidence(hit.similarity, self.gallery.people(org))
        if confidence < self.thresholds.get(org, self.threshold):
            return ""
        who = await self._name(org, hit.person)
        return f"the face looks like {who} (confidence {confidence:.2f})"

    async def _name(self, org: OrgId, person: PersonId) -> str:
        standing = (await self.people.standing(org, [person])).get(person)
        return standing.name if standing and standing.name else "somebody without a name"

    def _unlike(self, template: Template, own: Sequence[Template]) -> str:
        """A confidence of 0 at the smallest gallery: one stranger in a hundred is as like."""
        if not own:
            return ""
        best = max(float(np.dot(template, it)) for it in own)
        if self.calibration.confidence(best, 1) > 0:
            return ""
        return f"the face is unlike this person's other photos (similarity {best:.2f})"


def _joined(*said: str) -> str:
    return "; ".join(it for it in said if it)
