"""A pack, its codes, and a room in which it is sat."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.grading import packs
from archlab.grading.content import Pack, load
from archlab.grading.packs import Codes
from archlab.spec.pack import ExamPack, InstructorKey
from exam_room import ORDER, Class
from synthetic import ten_models


@pytest.fixture(scope="module")
def questions() -> Pack:
    return load(ten_models())


@pytest.fixture
def key(tmp_path: Path) -> InstructorKey:
    return packs.create_key(tmp_path / "instructor" / "key.json")


@pytest.fixture
def made(questions: Pack, key: InstructorKey) -> tuple[ExamPack, tuple[Codes, ...]]:
    return packs.make(ORDER, questions, key)


@pytest.fixture
def room(tmp_path: Path, questions: Pack, made: tuple[ExamPack, tuple[Codes, ...]]) -> Class:
    return Class(tmp_path, questions, made)
