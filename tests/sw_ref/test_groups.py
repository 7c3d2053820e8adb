"""Groups along K cover it once, in order."""

import pytest

from sw_ref.groups import group_of, group_slices


@pytest.mark.parametrize("depth", [1, 2, 7, 8, 9])
@pytest.mark.parametrize("group_size", [0, 1, 3, 8, 100])
def test_every_k_is_in_its_group(depth, group_size):
    groups = [list(range(depth))[group] for group in group_slices(depth, group_size)]
    assert [k for group in groups for k in group] == list(range(depth))
    assert all(len(group) == (group_size or depth) for group in groups[:-1])
    assert group_of(depth, group_size).tolist() == [g for g, group in enumerate(groups) for _ in group]


@pytest.mark.parametrize("groups", [group_slices, group_of])
def test_bad_input_is_refused(groups):
    with pytest.raises(ValueError, match=r"^K must be at least 1, not 0$"):
        groups(0, 4)
    with pytest.raises(ValueError, match=r"^Group size must be at least 1, or 0 for one group, not -4$"):
        groups(8, -4)
