"""Why a policy fails: rules over factors, counterfactual rollouts that test them, and what to practise."""
