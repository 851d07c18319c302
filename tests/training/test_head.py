"""Log-probabilities that are computed in parts of the vocabulary are those of the whole."""

import torch

from knowledge_update.training.head import COLUMNS, log_probabilities


def test_log_probabilities_and_their_gradient_are_those_of_the_whole_vocabulary() -> None:
    torch.manual_seed(1)
    weight = torch.randn(2 * COLUMNS + 77, 16)
    # Far apart, so that the running maximum has something to do.
    weight[COLUMNS + 5] *= 20
    targets = torch.randint(len(weight), (6, 3))
    states = [torch.randn(6, 16, generator=torch.Generator().manual_seed(2)).requires_grad_() for _ in range(2)]
    found = log_probabilities(states[0], weight, targets)
    expected = torch.log_softmax(states[1] @ weight.t(), dim=1).gather(1, targets)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
    share = torch.rand(6, 3)
    (found * share).sum().backward()
    (expected * share).sum().backward()
    torch.testing.assert_close(states[0].grad, states[1].grad, rtol=1e-4, atol=1e-4)


def test_without_gradients_it_is_the_same() -> None:
    weight, states, targets = torch.randn(COLUMNS + 3, 8), torch.randn(2, 8), torch.tensor([[0], [COLUMNS + 2]])
    with torch.no_grad():
        found = log_probabilities(states, weight, targets)
    torch.testing.assert_close(found, torch.log_softmax(states @ weight.t(), dim=1).gather(1, targets))
