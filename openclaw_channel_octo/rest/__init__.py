"""The Octo bot API as typed calls: requests, answers, errors and the policy of trying again."""
